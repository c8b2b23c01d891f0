//! Guarantee: a torch file of a state dict is read bit for bit as another reader (candle's) reads it; whatever is not
//! such a file is refused by name with its position, is never run, never panics and never costs much memory.

mod support;

use bitvla_policies::PolicyError;
use bitvla_policies::checkpoint::{bf16_to_f32, f16_to_f32};
use bitvla_policies::torch_checkpoint::{self, FloatType, TensorLocation, pickle, zip};
use candle_core::{DType, Device};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use support::{Pickle, Tensor, archive, record, records, state_dict, strides, torch_file};

/// Most that the largest resident set of this process may grow while a small file is read, bytes.
const MEMORY: u64 = 64 << 20;

/// Largest resident set of this process so far, bytes; 0 where the system does not tell.
fn peak() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib << 10)
}

/// Reads, and fails when that took more than [`MEMORY`].
fn read(bytes: &[u8]) -> Result<BTreeMap<String, TensorLocation>, PolicyError> {
    let before = peak();
    let result = torch_checkpoint::tensors(Path::new("head.pt"), bytes);
    let grown = peak().saturating_sub(before);
    assert!(grown < MEMORY, "{grown} bytes");
    result
}

#[track_caller]
fn refused(bytes: &[u8], by: &[&str]) {
    let text = read(bytes).unwrap_err().to_string();
    for part in ["head.pt"].iter().chain(by) {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// Two tensors with the bit patterns of small numbers of both signs.
fn sample(dtype: FloatType, prefix: &str) -> Vec<Tensor> {
    let tensor = |name: &str, shape: &[usize], first: u16| {
        let element = |i: usize| {
            let i = i as u16;
            let half = (first + i * 37) | (i % 2) << 15;
            match dtype {
                FloatType::F32 => vec![i as u8, 7, half as u8, (half >> 8) as u8],
                _ => half.to_le_bytes().to_vec(),
            }
        };
        Tensor {
            name: format!("{prefix}{name}"),
            dtype,
            shape: shape.to_vec(),
            bytes: (0..shape.iter().product()).flat_map(element).collect(),
        }
    };
    vec![
        tensor("fc1.weight", &[3, 5, 2], 0x3c00),
        tensor("fc1.bias", &[300], 0x1234),
        tensor("scale", &[], 0x3f80),
    ]
}

fn values(dtype: FloatType, bytes: &[u8]) -> Vec<f32> {
    let halves = |widen: fn(u16) -> f32| {
        let halves = bytes.as_chunks().0.iter();
        halves.map(|b| widen(u16::from_le_bytes(*b))).collect()
    };
    match dtype {
        FloatType::Bf16 => halves(bf16_to_f32),
        FloatType::F16 => halves(f16_to_f32),
        FloatType::F32 => {
            let whole = bytes.as_chunks().0.iter();
            whole.map(|b| f32::from_le_bytes(*b)).collect()
        }
    }
}

#[test]
fn round_trip_and_candle_agree() {
    let dir = tempfile::tempdir().unwrap();
    for dtype in [FloatType::Bf16, FloatType::F16, FloatType::F32] {
        for prefix in ["", "module."] {
            let tensors = sample(dtype, prefix);
            let file = torch_file(&tensors);
            let found = read(&file).unwrap();
            assert_eq!(found.len(), tensors.len());
            for tensor in &tensors {
                let place = &found[&tensor.name];
                assert_eq!((place.dtype, &place.shape), (dtype, &tensor.shape));
                assert_eq!(file[place.range.clone()], tensor.bytes);
            }
            let path = dir.path().join("candle.pt");
            std::fs::write(&path, &file).unwrap();
            let others = candle_core::pickle::read_all(&path).unwrap();
            assert_eq!(others.len(), tensors.len());
            for (name, other) in others {
                let place = &found[&name];
                assert_eq!(other.dims(), place.shape);
                let other = other.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
                let ours = values(dtype, &file[place.range.clone()]);
                assert_eq!(other.to_vec1::<f32>().unwrap(), ours);
            }
        }
    }
}

#[test]
fn every_half_widens_as_candle_widens_it() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for (dtype, other) in [(FloatType::F16, DType::F16), (FloatType::Bf16, DType::BF16)] {
        let theirs = candle_core::Tensor::from_raw_buffer(&bytes, other, &[1 << 16], &Device::Cpu);
        let theirs = theirs.unwrap().to_dtype(DType::F32).unwrap();
        let theirs = theirs.to_vec1::<f32>().unwrap();
        for (one, other) in values(dtype, &bytes).iter().zip(&theirs) {
            assert!(one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan()));
        }
    }
}

/// Protocol 4 writes names on the stack, short strings, frames and numbered memories; a view and a parameter too.
#[test]
fn later_protocols_views_and_parameters() {
    let mut p = Pickle::default();
    p.raw(&[0x80, 4, 0x95, 8, 0, 0, 0, 0, 0, 0, 0]);
    p.raw(b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(");
    p.text("view")
        .tensor("0", FloatType::F32, 6, (2, &[2, 2], &[2, 1]));
    p.text("wide")
        .raw(b"\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_parameter\x94\x93\x94");
    p.tensor("0", FloatType::F32, 6, (0, &[1, 6], &[99, 1]));
    p.raw(&[0x88]).ordered_dict().raw(b"\x87Ru.");
    let tensors = [Tensor {
        name: String::new(),
        dtype: FloatType::F32,
        shape: vec![6],
        bytes: (0..24).collect(),
    }];
    let file = archive(&records(&p.bytes, &tensors));
    let found = read(&file).unwrap();
    assert_eq!(file[found["view"].range.clone()], tensors[0].bytes[8..]);
    assert_eq!(found["view"].shape, [2, 2]);
    assert_eq!(file[found["wide"].range.clone()], tensors[0].bytes);
    assert_eq!(found["wide"].shape, [1, 6]);
}

#[test]
fn foreign_code_is_refused_by_name_and_never_run() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("ran");
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "LongStorage"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch.jit._pickle", "build_intlist"),
    ] {
        let full = format!("`{module}.{name}`");
        let command = format!("touch {}", marker.display());
        let mut p = Pickle::default();
        p.raw(&[0x80, 2]).ordered_dict().text("a");
        let at = format!("byte {}", p.bytes.len());
        p.global(module, name)
            .text(&command)
            .raw(&[0x85])
            .raw(b"Rs.");
        refused(&archive(&records(&p.bytes, &[])), &[&full, &at, "refused"]);
        let mut p = Pickle::default();
        p.raw(&[0x80, 4]).text(module).text(name);
        let at = format!("byte {}", p.bytes.len());
        p.raw(&[0x93]).text(&command).raw(&[0x85]).raw(b"R.");
        refused(&archive(&records(&p.bytes, &[])), &[&full, &at, "refused"]);
    }
    assert!(!marker.exists());
}

#[test]
fn foreign_opcodes_are_refused() {
    let known = b"}()tXNKMJqrhjcQRbsu.\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";
    for code in (0..=u8::MAX).filter(|code| !known.contains(code)) {
        let mut p = Pickle::default();
        p.raw(&[0x80, 2]).ordered_dict().raw(&[code, b'.']);
        let named = format!("opcode 0x{code:02x}");
        refused(&archive(&records(&p.bytes, &[])), &[&named, "byte 33"]);
    }
}

/// Calls that torch never writes, though every name in them is allowed.
#[test]
fn allowed_names_in_foreign_calls_are_refused() {
    let pickle = |write: &dyn Fn(&mut Pickle)| {
        let mut p = Pickle::default();
        p.raw(&[0x80, 2]);
        write(&mut p);
        archive(&records(&p.bytes, &sample(FloatType::F32, "")))
    };
    refused(
        &pickle(&|p| _ = p.global("torch", "FloatStorage").raw(b")R.")),
        &["Storage(F32)"],
    );
    refused(
        &pickle(&|p| _ = p.ordered_dict().raw(b")R.")),
        &["a dict is called"],
    );
    refused(
        &pickle(&|p| _ = p.ordered_dict().text("x").raw(b"b.")),
        &["a string as the state"],
    );
    refused(
        &pickle(&|p| _ = p.int(3).text("x").int(4).raw(b"s.")),
        &["a number gets items"],
    );
    refused(
        &pickle(&|p| _ = p.raw(b"}").int(3).int(4).raw(b"s.")),
        &["a number as a key"],
    );
    refused(
        &pickle(&|p| _ = p.raw(b"}(").text("x").raw(b"u.")),
        &["no value"],
    );
    refused(
        &pickle(&|p| _ = p.raw(b"}").text("x").int(4).raw(b"s.")),
        &["`x` is a number"],
    );
    refused(
        &pickle(&|p| _ = p.int(3).raw(b".")),
        &["a number, expected a dict"],
    );
    refused(&pickle(&|p| _ = p.raw(b"}}.")), &["ends before"]);
    refused(&pickle(&|p| _ = p.raw(b"}..")), &["ends before"]);
    refused(
        &pickle(&|p| _ = p.raw(b"h\x07.")),
        &["nothing is remembered as 7"],
    );
    refused(
        &pickle(&|p| _ = p.text("x").raw(b"Q.")),
        &["a string, expected a tuple"],
    );
    refused(
        &pickle(&|p| _ = p.ints(&[1]).raw(b"Q.")),
        &["not a storage"],
    );
    refused(
        &pickle(&|p| _ = p.raw(&[0x80, 2])),
        &["starts with its protocol"],
    );
    refused(
        &pickle(&|p| _ = p.text(&"x".repeat(2000))),
        &["a string of 2000 bytes"],
    );
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let f32 = FloatType::F32;
    for (elements, part, what) in [
        (30, (0, &[2, 3][..], &[1, 2][..]), "not contiguous"),
        (30, (0, &[2, 3], &[4, 1]), "not contiguous"),
        (30, (0, &[2, 3], &[0, 0]), "not contiguous"),
        (30, (0, &[2, 3], &[-3, 1]), "not contiguous"),
        (30, (0, &[2, 3], &[1]), "strides"),
        (30, (0, &[31], &[1]), "from element 0 of 30"),
        (30, (1, &[30], &[1]), "from element 1 of 30"),
        (30, (-1, &[3], &[1]), "from element -1"),
        (30, (i64::MAX, &[3], &[1]), "from element"),
        (30, (0, &[-3], &[1]), "shape [-3]"),
        (30, (0, &[i64::MAX, i64::MAX], &[i64::MAX, 1]), "shape"),
        (29, (0, &[2], &[1]), "29 elements"),
        (i64::MAX, (0, &[2], &[1]), "elements"),
        (-1, (0, &[2], &[1]), "-1 elements"),
    ] {
        let mut p = Pickle::default();
        p.raw(&[0x80, 2]).ordered_dict().text("fc1.weight");
        p.tensor("0", f32, elements, part).raw(b"s.");
        let file = archive(&records(&p.bytes, &sample(f32, "")));
        refused(&file, &["tensor `fc1.weight`", what]);
    }
    let mut p = Pickle::default();
    p.raw(&[0x80, 2]).ordered_dict().text("fc1.weight");
    p.tensor("../version", f32, 1, (0, &[1], &[1])).raw(b"s.");
    refused(
        &archive(&records(&p.bytes, &[])),
        &["`fc1.weight`", "no entry data/`../version`"],
    );
    let twice = [sample(f32, ""), sample(f32, "")].map(|mut list| list.remove(0));
    refused(&torch_file(&twice), &["`fc1.weight`", "twice"]);
}

#[test]
fn foreign_archives_are_named() {
    let tensors = sample(FloatType::Bf16, "");
    let pickle = state_dict(&tensors);
    let change = |change: &dyn Fn(&mut Vec<support::Record>)| {
        let mut list = records(&pickle, &tensors);
        change(&mut list);
        archive(&list)
    };
    assert!(read(&change(&|list| list.iter_mut().for_each(|r| r.wide = true))).is_ok());
    refused(
        &change(&|list| list[2].method = 8),
        &["`archive/data/0`", "compressed with method 8"],
    );
    refused(
        &change(&|list| _ = list.remove(2)),
        &["`fc1.weight`", "no entry data/`0`"],
    );
    refused(
        &change(&|list| list[3].bytes.push(0)),
        &["`fc1.bias`", "601 bytes"],
    );
    refused(
        &change(&|list| list[1].bytes = b"big".into()),
        &["byte order `big`"],
    );
    refused(
        &change(&|list| list[3].name = "archive/data/0".into()),
        &["two entries `archive/data/0`"],
    );
    refused(&change(&|list| _ = list.remove(0)), &["data.pkl"]);
    refused(
        &change(&|list| list.push(record("b/data.pkl", b"."))),
        &["data.pkl"],
    );
    refused(&change(&|list| list[0].name = "a\nb".into()), &["data.pkl"]);
    let many = |list: &mut Vec<_>| list.extend((0..5000).map(|i| record(&i.to_string(), b"")));
    refused(&change(&many), &["5007 entries"]);
    refused(b"", &["not a torch file"]);
    refused(
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        &["before version 1.6"],
    );

    let good = change(&|_| ());
    let entries = zip::entries(&good).unwrap();
    let set = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    // Records of the directory: that of `data/0` is the third.
    let records: Vec<usize> = (0..good.len())
        .filter(|&at| good[at..].starts_with(b"PK\x01\x02"))
        .collect();
    let third = records[2];
    let second_start = good[records[1] + 42..records[1] + 46].to_vec();
    refused(
        &set(third + 42, &second_start),
        &["`archive/data/0`", "another name"],
    );
    refused(&set(third + 8, &[9]), &["`archive/data/0`", "encrypted"]);
    refused(
        &set(
            third + 20,
            &[0xf0, 0xff, 0xff, 0x7f, 0xf0, 0xff, 0xff, 0x7f],
        ),
        &["`archive/data/0`", "cut short"],
    );
    refused(
        &set(third + 20, &[0xff; 8]),
        &["`archive/data/0`", "64-bit"],
    );
    refused(
        &set(third + 20, &[0, 4, 0, 0, 0, 4, 0, 0]),
        &["`archive/data/0`", "overlap"],
    );
    refused(&set(third + 20, &[1]), &["`archive/data/0`", "stored for"]);
    assert_eq!(entries[2].name, "archive/data/0");
}

#[test]
fn every_truncation_is_an_error() {
    let file = torch_file(&sample(FloatType::F32, "module."));
    for length in 0..file.len() {
        assert!(read(&file[..length]).is_err(), "{length} of {}", file.len());
    }
    let pickle = state_dict(&sample(FloatType::F32, ""));
    for length in 0..pickle.len() {
        assert!(pickle::state_dict(&pickle[..length]).is_err(), "{length}");
    }
}

/// Long runs of what could grow: marks, dicts, tuples in tuples, memories, strings again and again.
#[test]
fn bombs_are_refused() {
    for part in [
        &b"("[..],
        b"}",
        b")",
        b"}\x94",
        b"\x85",
        b"(tq\x01",
        b"h\x00h\x00\x86q\x00",
        b"N",
    ] {
        let mut p = Pickle::default();
        p.raw(&[0x80, 2]).text(&"x".repeat(1000));
        for _ in 0..1 << 20 {
            p.raw(part);
        }
        p.raw(b".");
        refused(
            &archive(&records(&p.bytes, &[])),
            &["more than 16384 operations"],
        );
    }
    // One tensor under as many names as the operations allow.
    let mut p = Pickle::default();
    p.raw(&[0x80, 2]).ordered_dict().raw(b"(").text("first");
    let shape = [1, 1, 1, 1, 1, 1, 1, 30];
    p.tensor("0", FloatType::F32, 30, (0, &shape, &strides(&shape)));
    let place = p.bytes[p.bytes.len() - 1];
    for i in 0..8000 {
        p.raw(&[0x8c, 4]).raw(format!("{i:04}").as_bytes());
        p.raw(&[b'h', place]);
    }
    p.raw(b"u.");
    let found = read(&archive(&records(&p.bytes, &sample(FloatType::F32, ""))));
    assert_eq!(found.unwrap().len(), 8001);
}

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, to)| Change::Set(at, to)),
        2 => (any::<usize>(), prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff]))
            .prop_map(|(at, to)| Change::Set(at, to)),
        1 => (any::<usize>(), 1..64usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (any::<usize>(), 1..64usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ];
    prop::collection::vec(change, 1..6)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let (Change::Set(at, _) | Change::Remove(at, _) | Change::Repeat(at, _)) = change;
        let at = at % bytes.len().max(1);
        match change {
            Change::Set(_, to) => bytes[at] = *to,
            Change::Remove(_, length) => _ = bytes.drain(at..bytes.len().min(at + length)),
            Change::Repeat(_, length) => {
                let part = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, part);
            }
        }
        bytes.push(0);
        bytes.pop();
    }
    bytes
}

/// Tensors that are read lie in the file, whatever else the file says.
fn inside(bytes: &[u8]) -> Result<(), TestCaseError> {
    for place in read(bytes).into_iter().flat_map(BTreeMap::into_values) {
        let count: usize = place.shape.iter().product();
        prop_assert_eq!(place.range.len(), count * place.dtype.bytes());
        prop_assert!(place.range.end <= bytes.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_never_panic_nor_take_memory(list in changes(), wide in any::<bool>()) {
        let tensors = sample(FloatType::Bf16, "");
        let mut records = records(&state_dict(&tensors), &tensors);
        records.iter_mut().for_each(|record| record.wide = wide);
        inside(&changed(&archive(&records), &list))?;
    }

    #[test]
    fn changed_pickles_never_panic_nor_take_memory(list in changes()) {
        let tensors = sample(FloatType::F16, "module.");
        let pickle = changed(&state_dict(&tensors), &list);
        inside(&archive(&records(&pickle, &tensors)))?;
    }

    #[test]
    fn random_programs_never_panic_nor_take_memory(
        codes in prop::collection::vec(prop::sample::select(
            b"}()tXNKMJqrhjcQRbsu\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95\x00\x01\x02".to_vec()), 0..200),
    ) {
        let pickle = [&[0x80, 2][..], b"ccollections\nOrderedDict\nq\x00}q\x01", &codes, b"."].concat();
        inside(&archive(&records(&pickle, &[])))?;
    }
}
