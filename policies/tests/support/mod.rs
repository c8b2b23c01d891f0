//! Writes torch files byte by byte, as `torch.save` of a state dict does: protocol 2 with every value remembered, the
//! `_metadata` of a module, stored entries with padded data, sizes behind the data and 64-bit records at the end.

#[allow(dead_code)]
pub mod safetensors_file;

use bitvla_policies::torch_checkpoint::FloatType;

/// A tensor to write.
#[derive(Clone)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// Type of the elements.
    pub dtype: FloatType,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Elements, little endian.
    pub bytes: Vec<u8>,
}

/// Opcodes of a pickle.
#[derive(Default)]
pub struct Pickle {
    /// Bytes written so far.
    pub bytes: Vec<u8>,
    memo: u32,
}

impl Pickle {
    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Pickle {
        self.bytes.extend_from_slice(bytes);
        self
    }
    /// BINPUT or LONG_BINPUT under the next number.
    pub fn remember(&mut self) -> &mut Pickle {
        let place = self.memo;
        match u8::try_from(place) {
            Ok(place) => self.raw(&[b'q', place]),
            Err(_) => self.raw(b"r").raw(&place.to_le_bytes()),
        };
        self.memo += 1;
        self
    }
    /// BINUNICODE.
    pub fn text(&mut self, text: &str) -> &mut Pickle {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes());
        self.raw(text.as_bytes()).remember()
    }
    /// GLOBAL.
    pub fn global(&mut self, module: &str, name: &str) -> &mut Pickle {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
            .remember()
    }
    /// BININT1, BININT2, BININT or LONG1, whichever is the shortest.
    pub fn int(&mut self, value: i64) -> &mut Pickle {
        if let Ok(value) = u8::try_from(value) {
            self.raw(&[b'K', value])
        } else if let Ok(value) = u16::try_from(value) {
            self.raw(b"M").raw(&value.to_le_bytes())
        } else if let Ok(value) = i32::try_from(value) {
            self.raw(b"J").raw(&value.to_le_bytes())
        } else {
            self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
        }
    }
    /// A tuple of numbers.
    pub fn ints(&mut self, values: &[i64]) -> &mut Pickle {
        match values.len() {
            0 => return self.raw(b")"),
            1..=3 => {}
            _ => _ = self.raw(b"("),
        }
        for &value in values {
            self.int(value);
        }
        let code = [b't', 0x85, 0x86, 0x87];
        self.raw(&[*code.get(values.len()).unwrap_or(&b't')])
            .remember()
    }
    /// An empty ordered dict.
    pub fn ordered_dict(&mut self) -> &mut Pickle {
        self.global("collections", "OrderedDict")
            .raw(b")R")
            .remember()
    }
    /// A tensor: its storage `key` of `elements`, and the part of it.
    pub fn tensor(
        &mut self,
        key: &str,
        dtype: FloatType,
        elements: i64,
        part: (i64, &[i64], &[i64]),
    ) -> &mut Pickle {
        let storage = match dtype {
            FloatType::Bf16 => "BFloat16Storage",
            FloatType::F16 => "HalfStorage",
            FloatType::F32 => "FloatStorage",
        };
        self.global("torch._utils", "_rebuild_tensor_v2").raw(b"((");
        self.text("storage").global("torch", storage).text(key);
        self.text("cuda:0").int(elements);
        self.raw(b"t").remember().raw(b"Q");
        self.int(part.0).ints(part.1).ints(part.2).raw(&[0x89]);
        self.ordered_dict();
        self.raw(b"t").remember().raw(b"R").remember()
    }
}

/// Strides of a row-major tensor.
pub fn strides(shape: &[i64]) -> Vec<i64> {
    (0..shape.len())
        .map(|axis| shape[axis + 1..].iter().product())
        .collect()
}

/// The pickle of a state dict whose storages are numbered.
pub fn state_dict(tensors: &[Tensor]) -> Vec<u8> {
    let mut pickle = Pickle::default();
    pickle.raw(&[0x80, 2]).ordered_dict().raw(b"(");
    for (key, tensor) in tensors.iter().enumerate() {
        let shape: Vec<i64> = tensor.shape.iter().map(|&size| size as i64).collect();
        let elements = shape.iter().product();
        let part = (0, &shape[..], &strides(&shape)[..]);
        pickle
            .text(&tensor.name)
            .tensor(&key.to_string(), tensor.dtype, elements, part);
    }
    pickle
        .raw(b"u}")
        .remember()
        .text("_metadata")
        .ordered_dict();
    pickle.text("").raw(b"}").remember().text("version").int(1);
    pickle.raw(b"sssb.");
    pickle.bytes
}

/// One record of an archive.
pub struct Record {
    /// Path in the archive.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// 0 is stored.
    pub method: u16,
    /// Sizes and place in the 64-bit extra field.
    pub wide: bool,
}

/// A stored record.
pub fn record(name: &str, bytes: &[u8]) -> Record {
    Record {
        name: name.into(),
        bytes: bytes.into(),
        method: 0,
        wide: false,
    }
}

/// A zip archive.
pub fn archive(records: &[Record]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for r in records {
        let (start, size) = (file.len() as u64, r.bytes.len() as u64);
        let name = r.name.len() as u16;
        let unpadded = file.len() + 30 + r.name.len() + 4;
        let padding = unpadded.next_multiple_of(64) - unpadded;
        file.extend(b"PK\x03\x04\0\0\x08\x08");
        file.extend(r.method.to_le_bytes());
        file.extend([0; 16]);
        file.extend(name.to_le_bytes());
        file.extend((padding as u16 + 4).to_le_bytes());
        file.extend(r.name.as_bytes());
        file.extend(b"FB");
        file.extend((padding as u16).to_le_bytes());
        file.extend(vec![b'Z'; padding]);
        file.extend(&r.bytes);
        file.extend(b"PK\x07\x08\0\0\0\0");
        file.extend((size as u32).to_le_bytes());
        file.extend((size as u32).to_le_bytes());

        directory.extend(b"PK\x01\x02\0\0\0\0\x08\x08");
        directory.extend(r.method.to_le_bytes());
        directory.extend([0; 8]);
        let narrow = |value: u64| if r.wide { u32::MAX } else { value as u32 }.to_le_bytes();
        directory.extend([narrow(size), narrow(size)].concat());
        directory.extend(name.to_le_bytes());
        directory.extend([if r.wide { 28 } else { 0 }, 0, 0, 0]);
        directory.extend([0; 8]);
        directory.extend(narrow(start));
        directory.extend(r.name.as_bytes());
        if r.wide {
            directory.extend([1, 0, 24, 0]);
            directory.extend([size, size, start].map(u64::to_le_bytes).concat());
        }
    }
    let (count, start) = (records.len() as u64, file.len() as u64);
    let (length, end) = (directory.len() as u64, start + directory.len() as u64);
    file.extend(directory);
    file.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03\x2d\0\0\0\0\0\0\0\0\0");
    file.extend([count, count, length, start].map(u64::to_le_bytes).concat());
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(end.to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count as u16; 2].map(u16::to_le_bytes).concat());
    file.extend([length as u32, start as u32].map(u32::to_le_bytes).concat());
    file.extend([0, 0]);
    file
}

/// The records of a torch file around a pickle.
pub fn records(pickle: &[u8], tensors: &[Tensor]) -> Vec<Record> {
    let mut records = vec![
        record("archive/data.pkl", pickle),
        record("archive/byteorder", b"little"),
    ];
    for (key, tensor) in tensors.iter().enumerate() {
        records.push(record(&format!("archive/data/{key}"), &tensor.bytes));
    }
    records.push(record("archive/version", b"3\n"));
    records.push(record("archive/.data/serialization_id", &[b'7'; 40]));
    records
}

/// A torch file of a state dict.
pub fn torch_file(tensors: &[Tensor]) -> Vec<u8> {
    archive(&records(&state_dict(tensors), tensors))
}
