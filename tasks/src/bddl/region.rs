//! Regions of a problem, before their targets are known to exist.

use super::error::{BddlError, SourceLocation};
use super::problem::Region;
use super::reader::SexprReader;
use super::sexpr::Sexpr;

/// A region and where it is defined.
pub(super) struct LocatedRegion {
    pub region: Region,
    pub location: SourceLocation,
}

/// Reads `(NAME (:target T) (:ranges ((x y x y) ...)) (:yaw_rotation ((low high))) (:rgba (r g b a)))`.
pub(super) fn parse(reader: &SexprReader<'_>, item: &Sexpr) -> Result<LocatedRegion, BddlError> {
    let (items, location) = reader.list(item, "a region")?;
    let Some(head) = items.first() else {
        return Err(reader.fail(location, "expected a region name, found `()`"));
    };
    let local = reader.atom(head, "a region name")?.0.to_ascii_lowercase();
    let mut target: Option<String> = None;
    let mut region = Region {
        name: String::new(),
        local,
        target: String::new(),
        ranges: Vec::new(),
        yaw: [0.0, 0.0],
        rgba: [0.0, 0.0, 1.0, 0.0],
    };
    for item in &items[1..] {
        let (field, location) = reader.list(item, "a field such as (:target ...)")?;
        let Some(head) = field.first() else {
            return Err(reader.fail(location, "expected a field name, found `()`"));
        };
        let (head, head_location) = reader.atom(head, "a field name")?;
        let rest = &field[1..];
        match head.to_ascii_lowercase().as_str() {
            ":target" => {
                let name = reader.single(rest, location, "the target")?;
                if target.replace(name.to_ascii_lowercase()).is_some() {
                    return Err(reader.fail(location, "a second target of the region"));
                }
            }
            ":ranges" => {
                for (row, location) in reader.rows(rest, location)? {
                    region.ranges.push(range(reader, &row, location)?);
                }
            }
            // LIBERO overwrites the range with each row.
            ":yaw_rotation" => {
                for (row, location) in reader.rows(rest, location)? {
                    region.yaw = yaw(reader, &row, location)?;
                }
            }
            ":rgba" => {
                let [row] = rest else {
                    return Err(reader.fail(location, "expected one list of four numbers"));
                };
                let (row, location) = reader.numbers(row)?;
                region.rgba = row.try_into().map_err(|row: Vec<f64>| {
                    let message = format!("expected four numbers (r g b a), found {}", row.len());
                    reader.fail(location, message)
                })?;
            }
            _ => {
                let known = ":target, :ranges, :yaw_rotation, :rgba";
                let message = format!("unknown region field `{head}`; known: {known}");
                return Err(reader.fail(head_location, message));
            }
        }
    }
    region.target = target.ok_or_else(|| {
        let message = format!("region `{}` has no (:target ...)", region.local);
        reader.fail(location, message)
    })?;
    region.name = format!("{}_{}", region.target, region.local);
    Ok(LocatedRegion { region, location })
}

fn range(
    reader: &SexprReader<'_>,
    row: &[f64],
    location: SourceLocation,
) -> Result<[f64; 4], BddlError> {
    let [x0, y0, x1, y1] = *row else {
        let message = format!("expected 4 numbers, found {}", row.len());
        return Err(reader.fail(location, message));
    };
    if x0 > x1 || y0 > y1 {
        let message = format!("range ({x0} {y0} {x1} {y1}) is not (xmin ymin xmax ymax)");
        return Err(reader.fail(location, message));
    }
    Ok([x0, y0, x1, y1])
}

/// LIBERO draws between the least and the largest number of the row. Two stay in their order, in which this program's own
/// sampler draws.
fn yaw(
    reader: &SexprReader<'_>,
    row: &[f64],
    location: SourceLocation,
) -> Result<[f64; 2], BddlError> {
    match *row {
        [] => Err(reader.fail(location, "expected a range of yaw, found `()`")),
        [a, b] => Ok([a, b]),
        _ => Ok([
            row.iter().copied().fold(f64::INFINITY, f64::min),
            row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ]),
    }
}

impl Region {
    /// Colour in which LIBERO draws the region (red, green, blue, opacity), unless it is invisible.
    pub(super) fn visible_colour(&self) -> Option<[f64; 4]> {
        (self.rgba[3] > 0.0).then_some(self.rgba)
    }
}
