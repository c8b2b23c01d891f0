//! Guarantee: for any bytes, a reader of foreign files returns a value or an error that names the
//! file and the position in it; it never panics and never allocates more than 1 GB (all allocations of one call added up).
//!
//! Files are damaged by seeded edits of good ones (`bitvla_fuzz`): samples written here, and in the ignored tests LIBERO's own.
//! `BITVLA_FUZZ_SECS=600 cargo test --release -p bitvla-tasks --test fuzz -- --nocapture` gives each reader 600 s; the name of a
//! test behind it fuzzes one reader.

#[path = "common/mjcf_samples.rs"]
mod mjcf_samples;
#[path = "common/shared.rs"]
mod shared;

use bitvla_tasks::bddl::Problem;
use bitvla_tasks::libero::{InitFile, PoseFile, from_memory};
use bitvla_tasks::{Assets, TaskError};
use shared::shared;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Inputs per reader in a normal test run.
const CASES: u32 = 16_384;
/// Folder and name of the damaged file in errors, but for its ending.
const FILE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/fuzz");

/// A reader of foreign files.
struct Reader {
    name: &'static str,
    /// Good files.
    corpus: Vec<Vec<u8>>,
    /// Parts of such files, to be inserted anywhere.
    words: &'static [&'static [u8]],
    /// Reads a file; the error is the message that a user gets.
    read: fn(&[u8]) -> Result<(), String>,
}

/// The damaged file.
fn file(ending: &str) -> PathBuf {
    PathBuf::from(format!("{FILE}.{ending}"))
}

fn message<T>(answer: Result<T, TaskError>) -> Result<(), String> {
    answer.map(drop).map_err(|e| e.to_string())
}

#[test]
fn bddl() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/suites/spatial");
    fuzz(&bddl_reader(problems(&suite)));
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn bddl_of_libero() {
    let suite = shared("libero/libero/libero/bddl_files/libero_10");
    fuzz(&bddl_reader(problems(&suite)));
}

fn bddl_reader(corpus: Vec<Vec<u8>>) -> Reader {
    Reader {
        name: "BDDL",
        corpus,
        words: &[
            b"(",
            b")",
            b"-",
            b";",
            b"\n",
            b" ",
            b"(:init",
            b"(:goal (And",
            b"(:objects",
            b":ranges",
            b"((0 0 1 1))",
            b"nan",
            b"1e400",
            b"-0",
            b"(On",
            b"(Open",
            b"table",
            b"\xff",
            b"\xf0\x9f\x92\xa5",
        ],
        read: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let problem = Problem::parse(&file("bddl").display().to_string(), &text);
            problem.map(drop).map_err(|e| e.to_string())
        },
    }
}

#[test]
fn archives_of_initial_states() {
    fuzz(&archive_reader(&[own_pickle()]));
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn archives_of_libero() {
    fuzz(&archive_reader(&[own_pickle(), pickle_of_libero()]));
}

/// The first pickle fits the problem of the test; others need only be readable.
fn archive_reader(pickles: &[Vec<u8>]) -> Reader {
    Reader {
        name: "initial states, archive",
        corpus: pickles.iter().map(|pickle| archive(pickle)).collect(),
        words: &[
            b"PK\x03\x04",
            b"PK\x01\x02",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"PK\x06\x07",
            b"\xff\xff\xff\xff",
            b"\0\0\0\0",
            b"\xff\xff",
            b"\x08\0",
            b"archive/data.pkl",
            b"\x01\0\x20\0",
            b"\x01",
        ],
        read: |bytes| read_states(bytes),
    }
}

#[test]
fn pickles_of_initial_states() {
    fuzz(&pickle_reader(vec![own_pickle()]));
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn pickles_of_libero() {
    fuzz(&pickle_reader(vec![own_pickle(), pickle_of_libero()]));
}

/// As [`archive_reader`].
fn pickle_reader(pickles: Vec<Vec<u8>>) -> Reader {
    Reader {
        name: "initial states, pickle",
        corpus: pickles,
        words: &[
            b"cos\nsystem\n",
            b"cnumpy\ndtype\n",
            b"X\xff\xff\xff\xff",
            b"X\x00\x00\x00\x00",
            b"J\xff\xff\xff\x7f",
            b"M\xff\xff",
            b"q\x00",
            b"h\x00",
            b"j\xff\xff\xff\xff",
            b"r\x00\x00\x00\x01",
            b"(",
            b"t",
            b"R",
            b"b",
            b".",
            b"}",
            b"]",
            b"\x80\x05",
            b"\x95\xff\xff\xff\xff\xff\xff\xff",
            b"\xc3\xbf",
            b"\xe2\x82\xac",
        ],
        // The archive is made after the damage, so that the checksum does not reveal it.
        read: |bytes| read_states(&archive(bytes)),
    }
}

#[test]
fn fixture_poses() {
    fuzz(&Reader {
        name: "fixture poses",
        corpus: vec![
            br#"{"suites": {"libero_goal": {"0": {"states": [{"fixtures": {"a_1": [0.1, 0.2, 0.9, 1, 0, 0, 0]}}]}}}}"#
                .to_vec(),
        ],
        words: &[b"{", b"[", b"]", b"}", b"\"", b"1e999", b"null", b"[[[[[[[[", b"\\u0000", b"suites"],
        read: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            message(PoseFile::parse(&file("json"), &text))
        },
    });
}

/// Parts of MJCF.
const MJCF: &[&[u8]] = &[
    b"<body>",
    b"</body>",
    b"<body name=\"object\">",
    b"<geom type=\"mesh\" mesh=\"vis\"/>",
    b"<geom type=\"mesh\" mesh=\"hull\"/>",
    b"<geom size=\"1e9 1e9 1e9\"/>",
    b"<geom type=\"ellipsoid\" size=\"1 1 1\"/>",
    b"type=\"plane\" ",
    b"<joint name=\"j\"/>",
    b" class=\"part\"",
    b" childclass=\"part\"",
    b"<default class=\"a\">",
    b"</default>",
    b" mass=\"0\"",
    b" density=\"1e9\"",
    b" fromto=\"0 0 0 1 1 1\"",
    b" euler=\"1 2 3\"",
    b" quat=\"0 0 0 0\"",
    b" size=\"0 0 0\"",
    b"<inertial mass=\"1\" pos=\"0 0 0\"/>",
    b"1e308",
    b"-1e308",
    b"1e-308",
    b"nan",
    b"inf",
    b"-",
    b"0",
    b"\"",
    b"<",
    b">",
    b"/>",
    b"&amp;",
    b"&#0;",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"&b;",
    b"scale=\"1e9 1e9 1e9\" ",
    b"file=\"fuzz.xml\" ",
    b"file=\"..\" ",
    b"\xff",
    b"\xf0\x9f\x92\xa5",
];

/// Puts the mesh that the sample model names beside it.
fn write_hull() {
    let hull = file("xml").with_file_name("hull.stl");
    // Written aside and moved: another reader's test may be reading it.
    let aside = hull.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&aside, mjcf_samples::stl()).expect("written");
    std::fs::rename(&aside, &hull).expect("moved");
}

/// Model files of a folder of LIBERO's assets.
fn models_of_libero(folder: &str, names: &[&str]) -> Vec<Vec<u8>> {
    let folder = shared("libero/libero/libero/assets").join(folder);
    let read = |name: &&str| std::fs::read(folder.join(name)).expect("readable");
    names.iter().map(read).collect()
}

#[test]
fn mjcf_of_objects() {
    write_hull();
    fuzz(&object_reader(vec![mjcf_samples::MODEL.into()]));
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn mjcf_objects_of_libero() {
    let names = ["flat_stove.xml", "microwave.xml", "wooden_cabinet.xml"];
    fuzz(&object_reader(models_of_libero(
        "articulated_objects",
        &names,
    )));
}

fn object_reader(corpus: Vec<Vec<u8>>) -> Reader {
    Reader {
        name: "MJCF, objects",
        corpus,
        words: MJCF,
        read: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let category = mjcf_samples::CATEGORY;
            message(from_memory::model(&file("xml"), &text, category, true))
        },
    }
}

#[test]
fn mjcf_of_arenas() {
    fuzz(&arena_reader(vec![mjcf_samples::SCENE.into()]));
}

#[test]
#[ignore = "needs ../shared: LIBERO's files"]
fn mjcf_arenas_of_libero() {
    let names = [
        "libero_tabletop_base_style.xml",
        "libero_kitchen_tabletop_base_style.xml",
    ];
    fuzz(&arena_reader(models_of_libero("scenes", &names)));
}

fn arena_reader(corpus: Vec<Vec<u8>>) -> Reader {
    Reader {
        name: "MJCF, arenas",
        corpus,
        words: MJCF,
        read: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            message(from_memory::arena(&file("xml"), &text, "table"))
        },
    }
}

#[test]
fn meshes_as_obj() {
    fuzz(&Reader {
        name: "meshes, OBJ",
        corpus: vec![mjcf_samples::OBJ.as_bytes().to_vec()],
        words: &[
            b"v ",
            b"vt ",
            b"vn ",
            b"f ",
            b"/",
            b"//",
            b"\n",
            b"-1",
            b"0",
            b"4294967296",
            b"9223372036854775807",
            b"-9223372036854775808",
            b"1e39",
            b"nan",
            b"inf",
            b"v 0 0 0\n",
            b"f 1 2 3\n",
            b"f 1 1 1 1\n",
        ],
        read: |bytes| message(from_memory::mesh(&file("obj"), bytes)),
    });
}

#[test]
fn meshes_as_stl() {
    fuzz(&Reader {
        name: "meshes, STL",
        corpus: vec![mjcf_samples::stl()],
        words: &[
            b"\xff\xff\xff\xff",
            b"\0\0\0\0",
            b"\0\0\x80\x7f",
            b"\0\0\xc0\x7f",
            b"solid",
            &[0; 50],
        ],
        read: |bytes| message(from_memory::mesh(&file("stl"), bytes)),
    });
}

#[test]
fn meshes_as_msh() {
    fuzz(&Reader {
        name: "meshes, MSH",
        corpus: vec![mjcf_samples::msh()],
        words: &[
            b"\xff\xff\xff\xff",
            b"\xff\xff\xff\x7f",
            b"\0\0\0\0",
            b"\0\0\x80\x7f",
            b"\x03\0\0\0",
            &[0; 12],
        ],
        read: |bytes| message(from_memory::mesh(&file("msh"), bytes)),
    });
}

fn read_states(bytes: &[u8]) -> Result<(), String> {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    let assets = ASSETS.get_or_init(|| Assets::open(&Assets::default_dir()).expect("assets"));
    let problem =
        "(define (problem libero_floor_manipulation) (:fixtures floor - floor stove - flat_stove)
        (:objects bowl - bowl) (:goal (Open stove)))";
    let problem = Problem::parse("fuzz.bddl", problem).map_err(|e| e.to_string())?;
    let file = InitFile::parse(&file("pruned_init"), bytes).map_err(|e| e.to_string())?;
    message(file.states(assets, &problem))
}

/// The problems of a folder.
fn problems(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths.retain(|p| p.extension().is_some_and(|e| e == "bddl"));
    let read = |p: &PathBuf| std::fs::read(p).expect("readable");
    paths.iter().map(read).collect()
}

/// Pickle of a numpy array with two rows for the problem of [`read_states`].
fn own_pickle() -> Vec<u8> {
    let mut row = vec![0.0; 1 + 9 + 7 + 1 + 9 + 6 + 1];
    row[13] = 1.0;
    row[1] = -0.25;
    pickle(&[row.clone(), row])
}

fn pickle_of_libero() -> Vec<u8> {
    let name = "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove.pruned_init";
    let path = shared("libero/libero/libero/init_files/libero_10").join(name);
    let bytes = std::fs::read(path).expect("readable");
    let start = bytes.windows(8).position(|w| w == b"\x80\x02cnumpy");
    let start = start.expect("a pickle");
    let end = bytes.windows(5).rposition(|w| w == b"tq\x14b.");
    bytes[start..end.expect("its end") + 5].to_vec()
}

/// As numpy writes an array with protocol 2, without the memo that nothing refers to.
fn pickle(rows: &[Vec<f64>]) -> Vec<u8> {
    let text = |text: &str| {
        let mut out = vec![b'X'];
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
        out
    };
    let bytes = rows.iter().flatten().flat_map(|v| v.to_le_bytes());
    let latin: String = bytes.map(char::from).collect();
    let (height, width) = (rows.len() as u8, rows[0].len() as u8);
    [
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85c_codecs\nencode\nq\x03".to_vec(),
        text("b"),
        text("latin1"),
        b"q\x05\x86R\x87R(K\x01K".to_vec(),
        vec![height, b'K', width],
        b"\x86cnumpy\ndtype\n".to_vec(),
        text("f8"),
        b"\x89\x88\x87R(K\x03".to_vec(),
        text("<"),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89h\x03".to_vec(),
        text(&latin),
        b"h\x05\x86Rtb.".to_vec(),
    ]
    .concat()
}

/// A stored archive as LIBERO's.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/version", b"3\n")] {
        out.start_file(name, options).expect("an entry");
        out.write_all(bytes).expect("written");
    }
    out.finish().expect("an archive").into_inner()
}

/// Returns true if an error begins with the name of the file, or of one beside it that it refers to, and a number that is
/// a position in it.
fn names_its_location(error: &str) -> bool {
    let rest = error
        .strip_prefix(env!("CARGO_TARGET_TMPDIR"))
        .and_then(|rest| rest.split_once(':'))
        .map(|(_, rest)| rest);
    let word = rest.map(|rest| rest.trim_start_matches([' ', 'b', 'y', 't', 'e', 'r', 'o', 'w']));
    word.is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

fn fuzz(reader: &Reader) {
    bitvla_fuzz::fuzz(&bitvla_fuzz::Reader {
        name: reader.name,
        corpus: &reader.corpus,
        words: reader.words,
        cases: CASES,
        read: &reader.read,
        names_place: &names_its_location,
    });
}
