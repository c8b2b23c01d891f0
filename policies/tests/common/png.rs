//! Just enough PNG for golden pictures: 8-bit RGB without interlacing. Checksums are not looked at.

/// Width, height and RGB pixels.
pub fn decode(file: &[u8]) -> (usize, usize, Vec<u8>) {
    assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n", "signature");
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let (width, height) = (number(16), number(20));
    assert_eq!(file[24..29], [8, 2, 0, 0, 0], "8-bit RGB, not interlaced");
    let (mut at, mut stream) = (8, Vec::new());
    while at < file.len() {
        let length = number(at);
        if &file[at + 4..at + 8] == b"IDAT" {
            stream.extend_from_slice(&file[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    let stride = width * 3;
    let mut above = vec![0u8; stride];
    let mut pixels = Vec::new();
    for line in inflate(&stream[2..]).chunks_exact(stride + 1) {
        let mut row = line[1..].to_vec();
        for i in 0..stride {
            let (left, corner) = match i {
                0..3 => (0, 0),
                _ => (row[i - 3], above[i - 3]),
            };
            let guess = match line[0] {
                0 => 0,
                1 => left,
                2 => above[i],
                3 => ((u16::from(left) + u16::from(above[i])) / 2) as u8,
                4 => {
                    let to = |v: u8| {
                        let sum = i16::from(left) + i16::from(above[i]) - i16::from(corner);
                        (sum - i16::from(v)).abs()
                    };
                    // The first of the nearest.
                    let order = [left, above[i], corner];
                    order.into_iter().min_by_key(|v| to(*v)).unwrap()
                }
                other => panic!("filter {other}"),
            };
            row[i] = row[i].wrapping_add(guess);
        }
        pixels.extend_from_slice(&row);
        above = row;
    }
    assert_eq!(pixels.len(), stride * height);
    (width, height, pixels)
}

/// Bits of a DEFLATE stream, lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        let bit = |at: usize| usize::from(self.bytes[at / 8] >> (at % 8) & 1);
        let value = (0..count).fold(0, |value, i| value | bit(self.at + i) << i);
        self.at += count;
        value
    }
    fn symbol(&mut self, code: &Huffman) -> usize {
        let (mut word, mut first, mut index) = (0, 0, 0);
        for count in code.counts.iter().skip(1) {
            word |= self.take(1);
            if word < first + count {
                return code.symbols[index + word - first];
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        panic!("no such code");
    }
}

/// Canonical code: how many codes of each length, and their symbols in order.
struct Huffman {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Huffman {
    fn new(lengths: &[usize]) -> Huffman {
        let mut counts = [0; 16];
        lengths.iter().for_each(|l| counts[*l] += 1);
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|s| lengths[*s] > 0).collect();
        symbols.sort_by_key(|s| lengths[*s]);
        Huffman { counts, symbols }
    }
}

/// RFC 1951.
fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits { bytes, at: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let length = bits.take(16);
                bits.take(16);
                out.extend((0..length).map(|_| bits.take(8) as u8));
            }
            1 => {
                let lengths: Vec<usize> = [(8, 144), (9, 112), (7, 24), (8, 8)]
                    .into_iter()
                    .flat_map(|(length, count)| vec![length; count])
                    .collect();
                codes(
                    &mut bits,
                    &Huffman::new(&lengths),
                    &Huffman::new(&[5; 30]),
                    &mut out,
                );
            }
            2 => {
                let counts = [bits.take(5) + 257, bits.take(5) + 1];
                let mut lengths = [0; 19];
                let order = [
                    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
                ];
                let listed = bits.take(4) + 4;
                for position in &order[..listed] {
                    lengths[*position] = bits.take(3);
                }
                let code = Huffman::new(&lengths);
                let mut lengths = Vec::new();
                while lengths.len() < counts[0] + counts[1] {
                    let (value, times) = match bits.symbol(&code) {
                        16 => (lengths[lengths.len() - 1], 3 + bits.take(2)),
                        17 => (0, 3 + bits.take(3)),
                        18 => (0, 11 + bits.take(7)),
                        length => (length, 1),
                    };
                    lengths.extend(vec![value; times]);
                }
                let (literals, distances) = lengths.split_at(counts[0]);
                codes(
                    &mut bits,
                    &Huffman::new(literals),
                    &Huffman::new(distances),
                    &mut out,
                );
            }
            _ => panic!("block type 3"),
        }
        if last {
            return out;
        }
    }
}

/// One compressed block.
fn codes(bits: &mut Bits, literals: &Huffman, distances: &Huffman, out: &mut Vec<u8>) {
    loop {
        match bits.symbol(literals) {
            byte @ 0..256 => out.push(byte as u8),
            256 => return,
            symbol => {
                // Groups of four lengths and of two distances share a number of extra bits.
                let length = match symbol - 257 {
                    i @ 0..8 => i + 3,
                    28 => 258,
                    i => ((4 + i % 4) << (i / 4 - 1)) + 3 + bits.take(i / 4 - 1),
                };
                let distance = match bits.symbol(distances) {
                    i @ 0..4 => i + 1,
                    i => ((2 + i % 2) << (i / 2 - 1)) + 1 + bits.take(i / 2 - 1),
                };
                for _ in 0..length {
                    out.push(out[out.len() - distance]);
                }
            }
        }
    }
}
