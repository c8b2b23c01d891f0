//! The zip archive around a torch file: stored entries only, found through the central directory (PKWARE APPNOTE
//! 4.3), with the 64-bit records that torch always writes. Every offset is checked against the file, entries may not
//! overlap, and nothing is copied. Checksums are not compared: torch may be told to leave them out.

use super::pickle::quoted;
use std::ops::Range;

/// Most entries; torch writes one per tensor and four more.
pub const MAX_ENTRIES: usize = 4096;

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// One stored file.
#[derive(Debug, Clone, PartialEq)]
pub struct ZipEntry<'a> {
    /// Path inside the archive.
    pub name: &'a str,
    /// Byte range in the archive.
    pub data: Range<usize>,
    /// Offset of its local header.
    start: usize,
}

/// Entries of an archive, in the order of their data.
///
/// # Errors
/// Says what does not fit, with the entry where it is about one.
pub fn entries(bytes: &[u8]) -> Result<Vec<ZipEntry<'_>>, String> {
    let (count, directory) = directory(bytes)?;
    let mut at = directory.start;
    if count > MAX_ENTRIES {
        return Err(format!("{count} entries, at most {MAX_ENTRIES} expected"));
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let (entry, next) = entry(bytes, at, &directory)?;
        entries.push(entry);
        at = next;
    }
    if at != directory.end {
        return Err("the directory is longer than its entries".into());
    }
    entries.sort_by_key(|entry| entry.start);
    for pair in entries.windows(2) {
        if pair[1].start < pair[0].data.end {
            let (one, other) = (quoted(pair[0].name), quoted(pair[1].name));
            return Err(format!("entries {one} and {other} overlap"));
        }
    }
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two entries {}", quoted(pair[0]))),
        None => Ok(entries),
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<u64, String> {
    let part = bytes.get(at..).and_then(|rest| rest.get(..N));
    let part =
        part.ok_or_else(|| format!("cut short: {N} bytes wanted at {at} of {}", bytes.len()))?;
    Ok(part.iter().rev().fold(0, |sum, &b| sum << 8 | u64::from(b)))
}

fn expect(bytes: &[u8], at: usize, signature: &[u8], what: &str) -> Result<(), String> {
    match bytes
        .get(at..)
        .is_some_and(|rest| rest.starts_with(signature))
    {
        true => Ok(()),
        false => Err(format!("no {what} at byte {at}")),
    }
}

fn size(value: u64) -> Result<usize, String> {
    usize::try_from(value).map_err(|_| format!("{value} bytes"))
}

/// Number of entries, and location of the central directory.
fn directory(bytes: &[u8]) -> Result<(usize, Range<usize>), String> {
    let last = bytes.len().checked_sub(22);
    let first = bytes.len().saturating_sub(22 + 0xffff);
    let end = last.and_then(|last| {
        let ends = |&at: &usize| {
            let comment = field::<2>(bytes, at + 20);
            bytes[at..].starts_with(END) && comment == Ok((last - at) as u64)
        };
        (first..=last).rev().find(ends)
    });
    let end = end.ok_or("no end of a zip archive: not a torch file, or cut short")?;
    let (disks, on_disk) = (field::<4>(bytes, end + 4)?, field::<2>(bytes, end + 8)?);
    let mut found = [
        field::<2>(bytes, end + 10)?,
        field::<4>(bytes, end + 12)?,
        field::<4>(bytes, end + 16)?,
    ];
    if disks != 0 || on_disk != found[0] {
        return Err("an archive in several parts".into());
    }
    let mut limit = end;
    let locator = end.checked_sub(20);
    if let Some(locator) = locator.filter(|&at| bytes[at..].starts_with(LOCATOR64)) {
        limit = size(field::<8>(bytes, locator + 8)?)?;
        if limit > locator {
            return Err(format!("64-bit record at byte {limit}, behind its locator"));
        }
        expect(bytes, limit, END64, "64-bit record")?;
        let zip64 = [
            field::<8>(bytes, limit + 32)?,
            field::<8>(bytes, limit + 40)?,
            field::<8>(bytes, limit + 48)?,
        ];
        for ((zip64, narrow), full) in
            zip64
                .iter()
                .zip(found)
                .zip([0xffff, 0xffff_ffff, 0xffff_ffff])
        {
            if narrow != full && narrow != *zip64 {
                return Err(format!("two ends that disagree: {narrow} and {zip64}"));
            }
        }
        found = zip64;
    }
    let [count, length, start] = found;
    match start.checked_add(length) {
        Some(stop) if stop <= limit as u64 => Ok((size(count)?, size(start)?..size(stop)?)),
        _ => Err(format!(
            "a directory of {length} bytes at {start} does not fit: cut short"
        )),
    }
}

/// Entry whose record is at `at`, and offset of the next record.
fn entry<'a>(
    bytes: &'a [u8],
    at: usize,
    directory: &Range<usize>,
) -> Result<(ZipEntry<'a>, usize), String> {
    let records = &bytes[..directory.end];
    expect(records, at, CENTRAL, "directory record")?;
    let (name_length, extra_length) =
        (field::<2>(records, at + 28)?, field::<2>(records, at + 30)?);
    let comment_length = field::<2>(records, at + 32)?;
    let name_end = at + 46 + name_length as usize;
    let extra_end = name_end + extra_length as usize;
    let next = extra_end + comment_length as usize;
    let cut = || format!("directory record at byte {at} is cut short");
    let raw_name = records.get(at + 46..name_end).ok_or_else(cut)?;
    let extra = records.get(name_end..extra_end).ok_or_else(cut)?;
    if next > records.len() {
        return Err(cut());
    }
    let name = std::str::from_utf8(raw_name).map_err(|e| format!("entry at byte {at}: {e}"))?;
    let fail = |what: String| format!("entry {}: {what}", quoted(name));
    let method = field::<2>(records, at + 10)?;
    if method != 0 {
        let what = "torch stores its entries; unpack the file and store it again";
        return Err(fail(format!("compressed with method {method}, {what}")));
    }
    if field::<2>(records, at + 8)? & 1 != 0 {
        return Err(fail("encrypted".into()));
    }
    let mut numbers = [
        field::<4>(records, at + 24)?,
        field::<4>(records, at + 20)?,
        field::<4>(records, at + 42)?,
    ];
    apply_zip64_extra(&mut numbers, extra).map_err(fail)?;
    let [length, packed, start] = numbers;
    if length != packed {
        return Err(fail(format!("{packed} bytes stored for {length}")));
    }
    let outside = || {
        fail(format!(
            "{length} bytes at {start} do not fit in the file: cut short"
        ))
    };
    let start = usize::try_from(start).map_err(|_| outside())?;
    if start >= directory.start {
        return Err(outside());
    }
    expect(bytes, start, LOCAL, "local header").map_err(fail)?;
    if field::<2>(bytes, start + 8)? != 0 {
        return Err(fail("compressed, says its local header".into()));
    }
    let local_name = start + 30;
    let local_length = field::<2>(bytes, start + 26)?;
    let data = local_name + (local_length + field::<2>(bytes, start + 28)?) as usize;
    let stop = size(length)?
        .checked_add(data)
        .filter(|&stop| stop <= directory.start);
    let stop = stop.ok_or_else(outside)?;
    if bytes.get(local_name..local_name + local_length as usize) != Some(raw_name) {
        return Err(fail("its local header has another name".into()));
    }
    let data = data..stop;
    Ok((ZipEntry { name, data, start }, next))
}

/// Replaces numbers that do not fit in 32 bits by those of the 64-bit extra field.
fn apply_zip64_extra(numbers: &mut [u64; 3], extra: &[u8]) -> Result<(), String> {
    let mut at = 0;
    while at < extra.len() {
        let (id, length) = (field::<2>(extra, at)?, field::<2>(extra, at + 2)? as usize);
        let body = extra
            .get(at + 4..at + 4 + length)
            .ok_or("an extra field is cut short")?;
        if id == 1 {
            let mut place = 0;
            for number in numbers.iter_mut().filter(|number| **number == 0xffff_ffff) {
                *number = field::<8>(body, place)?;
                place += 8;
            }
            return Ok(());
        }
        at += 4 + length;
    }
    match numbers.contains(&0xffff_ffff) {
        true => Err("a 64-bit size without its extra field".into()),
        false => Ok(()),
    }
}
