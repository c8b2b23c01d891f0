//! Pickles as numpy 1 and 2 write them, with protocols 2 to 5, put together by hand.

use super::*;

const ROW: [f64; 2] = [0.25, -3.0];

fn elements() -> Vec<u8> {
    ROW.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Protocol 2: names in lines, bytes as a latin-1 text.
fn protocol_2(module: &str) -> Vec<u8> {
    let text: String = elements().into_iter().map(char::from).collect();
    joined(&[
        b"\x80\x02c",
        module.as_bytes(),
        b"\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85c_codecs\nencode\nq\x02X\x01\x00\x00\x00bX\x06\x00\x00\x00latin1\x86R\x87R(K\x01K\x01K\x02\x86cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89h\x02X",
        &(text.len() as u32).to_le_bytes(),
        text.as_bytes(),
        b"X\x06\x00\x00\x00latin1\x86Rtb.",
    ])
}

fn name(text: &str) -> Vec<u8> {
    joined(&[b"\x8c", &[text.len() as u8], text.as_bytes(), b"\x94"])
}

/// Protocol 4: names on the stack, frames, bytes as bytes.
fn protocol_4() -> Vec<u8> {
    joined(&[
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00",
        &name("numpy._core.multiarray"),
        &name("_reconstruct"),
        b"\x93\x94",
        &name("numpy"),
        &name("ndarray"),
        b"\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02\x85\x94h\x03",
        &name("dtype"),
        b"\x93\x94\x8c\x02f8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89B\x10\x00\x00\x00",
        &elements(),
        b"\x94t\x94b.",
    ])
}

/// Protocol 5: a buffer.
fn protocol_5() -> Vec<u8> {
    joined(&[
        b"\x80\x05",
        &name("numpy._core.numeric"),
        &name("_frombuffer"),
        b"\x93\x94(\x96\x10\x00\x00\x00\x00\x00\x00\x00",
        &elements(),
        b"\x94",
        &name("numpy"),
        &name("dtype"),
        b"\x93\x94\x8c\x02f8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bK\x01K\x02\x86\x94\x8c\x01C\x94t\x94R\x94.",
    ])
}

#[test]
fn protocols_two_to_five_and_both_names_of_numpy_are_the_same_array() {
    for (what, pickle) in [
        ("numpy 1, protocol 2", protocol_2("numpy.core.multiarray")),
        ("numpy 2, protocol 2", protocol_2("numpy._core.multiarray")),
        ("protocol 4, one axis", protocol_4()),
        ("protocol 5", protocol_5()),
    ] {
        let array = array(&pickle).unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert_eq!(
            (array.shape, &array.values[..]),
            ([1, 2], &ROW[..]),
            "{what}"
        );
    }
}

#[test]
fn other_programs_are_refused_with_their_position() {
    let good = protocol_2("numpy.core.multiarray");
    let refused = |pickle: &[u8], words: &str| {
        let error = array(pickle).unwrap_err();
        let text = format!("found {}, expected {}", error.found, error.expected);
        assert!(text.contains(words), "`{words}`: {text}");
    };
    refused(&protocol_2("os"), "the global `os _reconstruct`");
    refused(b"\x80\x01.", "protocol 1");
    refused(b"\x80\x02N.", "found none, expected a numpy array");
    refused(b"\x80\x02(N.", "a numpy array");
    refused(b"\x80\x02R", "a value on the stack");
    refused(b"\x80\x02h\x07.", "a reference to value 7");
    refused(b"\x80\x02N0.", "opcode 0x30");
    refused(b"\x80\x02NQ.", "a tensor of torch");
    refused(&good[..good.len() - 1], "0 bytes to the end of the file");
    refused(&[good.as_slice(), b"N"].concat(), "1 more bytes");
    let mut long = b"\x80\x02N".to_vec();
    long.extend(b"\x85".repeat(5000));
    refused(&long, "more than 1024 instructions");
}
