//! Guarantee: what is written to a run folder is read back unchanged, actions bit for bit, and plots
//! appear in both formats. `BITVLA_KEEP_PLOTS=DIR` keeps the plots of this test for inspection.

use bitvla_reports::*;
use std::path::PathBuf;

fn episodes() -> Vec<EpisodeRecord> {
    let places = [
        "between the plate and the ramekin",
        "next to the ramekin",
        "from table center",
        "on the cookie box",
        "in the top drawer of the wooden cabinet",
        "on the ramekin",
        "next to the cookie box",
        "on the stove",
        "next to the plate",
        "on the wooden cabinet",
    ];
    let mut rows = Vec::new();
    for (task, place) in places.iter().enumerate() {
        for init in 0..50 {
            let success = (init * 7 + task * 3) % 50 < 20 + 3 * task;
            rows.push(EpisodeRecord {
                suite: "spatial".into(),
                task,
                instruction: format!("pick up the black bowl {place} and place it on the plate"),
                init,
                seed: 7,
                policy: "ternary".into(),
                arithmetic: "native-packed".into(),
                success,
                steps: if success { 80 + init } else { 220 },
                queries: 28,
                state_hash: format!("{:016x}", 0x1234_5678_9abc_u64 * (init as u64 + 1)),
                error: String::new(),
            });
        }
    }
    rows
}

fn queries() -> Vec<QueryRecord> {
    (0..3000usize)
        .map(|i| {
            // A skewed, repeatable spread without a random number generator.
            let u = ((i * 7919) % 3001) as f64 / 3001.0;
            let slow = 1.0 + 0.12 * u + 0.6 * u.powi(30);
            QueryRecord {
                task: i / 300,
                init: i / 30 % 10,
                query: i % 30,
                render_ms: 21.0 * slow,
                preprocessing_ms: 0.9 * slow,
                vision_ms: 3.4 * slow,
                language_ms: 4.8 * slow,
                head_ms: 0.35 * slow,
                ..QueryRecord::default()
            }
        })
        .collect()
}

fn memory() -> MemoryReport {
    let rows = [
        ("vision linears", "ternary 2-bit", 410_000),
        ("language linears", "ternary 2-bit", 620_000),
        ("token embedding", "f32", 240_000),
        ("connector", "bf16", 130_000),
        ("norms and scales", "f32", 22_000),
        ("action head", "f32", 540_000),
    ];
    MemoryReport {
        weights: rows
            .map(|(class, encoding, bytes)| WeightMemory {
                class: class.into(),
                encoding: encoding.into(),
                bytes,
                mapped: 0,
                resident: bytes,
            })
            .to_vec(),
        activation_bytes: 350_000,
        peak_resident_bytes: 412_000_000,
        ..MemoryReport::default()
    }
}

#[test]
fn files_come_back_unchanged() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let rows = episodes();
    write_episodes(&path("episodes.csv"), &rows).expect("write");
    assert_eq!(read_episodes(&path("episodes.csv")).expect("read"), rows);
    write_latency(&path("latency.csv"), &queries()).expect("write");
    assert_eq!(
        read_latency(&path("latency.csv")).expect("read").len(),
        3000
    );

    let recorded = [
        EpisodeActions {
            task: 3,
            init: 1,
            state_hash: u64::MAX,
            actions: vec![[0.1, -0.0, 1e-300, 1.0, 0.3, -1.0, 1.0]; 5],
        },
        EpisodeActions {
            task: 4,
            init: 0,
            state_hash: 1,
            actions: vec![[0.5, -0.25, 0.0, -0.0, f64::from(0.1f32), -1.0, 1.0]; 3],
        },
        EpisodeActions {
            task: 4,
            init: 1,
            state_hash: 0,
            actions: Vec::new(),
        },
    ];
    write_actions(&path("actions.bin"), &recorded).expect("write");
    let back = read_actions(&path("actions.bin")).expect("read");
    assert_eq!(back, recorded);
    for (a, b) in back.iter().zip(&recorded) {
        let bits = |e: &EpisodeActions| -> Vec<u64> {
            e.actions.iter().flatten().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(a), bits(b));
    }
    // Numbers that single precision holds take half the room.
    assert_eq!(recorded[1].to_bytes().len(), 24 + 3 * 28);
    assert_eq!(recorded[0].to_bytes().len(), 24 + 5 * 56);
    assert_eq!(from_hex(&to_hex(&[0, 255, 16])), Some(vec![0, 255, 16]));
    assert_eq!(from_hex("0g"), None);
}

#[test]
fn a_torn_actions_file_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("actions.bin");
    let one = EpisodeActions {
        task: 0,
        init: 0,
        state_hash: 5,
        actions: vec![[0.1; 7]; 2],
    };
    write_actions(&path, &[one]).expect("write");
    let bytes = std::fs::read(&path).expect("read");
    std::fs::write(&path, &bytes[..bytes.len() - 3]).expect("write");
    let message = read_actions(&path).expect_err("torn").to_string();
    assert!(
        message.contains("actions.bin") && message.contains("byte 8"),
        "{message}"
    );
}

#[test]
fn plots_are_drawn_in_both_formats() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let keep = std::env::var_os("BITVLA_KEEP_PLOTS").map(PathBuf::from);
    let out = keep.unwrap_or_else(|| dir.path().to_owned());
    let plots =
        write_plots(&out, "spatial, ternary", &episodes(), &queries(), &memory()).expect("plots");
    assert_eq!(plots.len(), 3);
    for plot in plots {
        let svg = std::fs::read_to_string(&plot.svg).expect("svg");
        assert!(svg.contains("<svg") && svg.contains("ternary"));
        let png = std::fs::read(&plot.png).expect("png");
        assert!(png.starts_with(b"\x89PNG"));
    }
    let (tasks, all) = summarise(&episodes());
    print!("{}", success_table(&tasks, &all));
    print!("{}", latency_table(&summarise_latency(&queries()), &[]));
    print!("{}", memory_table(&memory()));
}
