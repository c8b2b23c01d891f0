//! Guarantee: a protocol card names the version of the world; a card without one is of world version 1, and cards
//! of two worlds differ in that field, with both versions. A manifest without a schema version is one of version 1 and is
//! read; a newer one is refused by its version.

#[path = "common/card.rs"]
mod common;

use bitvla_reports::{SCHEMA_VERSION, read_manifest, write_manifest};
use common::card;

#[test]
fn an_old_card_is_of_world_version_1() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("run.json");
    write_manifest(&path, &card(5)).expect("written");
    assert_eq!(read_manifest(&path).expect("a card"), card(5));

    let text = std::fs::read_to_string(&path).expect("a file");
    let line = "    \"world_version\": 5,\n";
    assert_eq!(text.matches(line).count(), 1, "{text}");
    std::fs::write(&path, text.replace(line, "")).expect("written");
    assert_eq!(read_manifest(&path).expect("an old card"), card(1));
}

#[test]
fn cards_of_two_worlds_differ_in_that_field() {
    let (one, five) = (card(1).protocol, card(5).protocol);
    assert_eq!(one.differences(&five), ["world_version: 1 against 5"]);
    assert_eq!(five.differences(&one), ["world_version: 5 against 1"]);
    assert!(five.differences(&five).is_empty());
}

#[test]
fn a_manifest_of_schema_version_1_is_read_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("run.json");
    write_manifest(&path, &card(5)).expect("written");
    let text = std::fs::read_to_string(&path).expect("a file");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["schema_version"] = (SCHEMA_VERSION + 1).into();
    std::fs::write(&path, json.to_string()).expect("written");
    let error = read_manifest(&path).expect_err("refused").to_string();
    let words = format!("run.json: schema version {}", SCHEMA_VERSION + 1);
    assert!(error.contains(&words), "{error}");

    // As written by a program without the schema version and without the fields that came with version 2.
    json.as_object_mut()
        .expect("an object")
        .remove("schema_version");
    let protocol = json["protocol"].as_object_mut().expect("an object");
    for field in [
        "executed_steps",
        "network_image_size",
        "jpeg_round_trip",
        "resize_filter",
        "precision",
        "above_2_bits",
        "arithmetic",
        "engine",
        "robot_model",
        "simulation",
    ] {
        assert!(protocol.remove(field).is_some(), "{field}");
    }
    std::fs::write(&path, json.to_string()).expect("written");
    assert_eq!(read_manifest(&path).expect("read").schema_version, 1);
}
