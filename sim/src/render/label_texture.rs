//! Textures of printed packages: an image composed of a few statements, each painted over those before.
//!
//! Statements are separated by `;`. Lengths are shares of the side of the texture, with the origin in the upper left
//! corner; C is an index into the colours of the texture:
//!
//! | statement | paints |
//! |---|---|
//! | `fill C` | everything |
//! | `rect X0 Y0 X1 Y1 C` | a rectangle |
//! | `oval X Y RX RY C` | an ellipse around a centre |
//! | `band X0 Y0 X1 Y1 W C` | a straight line of width W |
//! | `words X Y W H C TEXT` | TEXT around a centre, stretched to W by H |

use super::font::glyph;

/// Samples across one texel.
const SUPERSAMPLING: u32 = 2;

/// Area that a statement paints, in shares of the side of the texture.
enum PaintArea {
    Rect([f32; 4]),
    Oval([f32; 4]),
    Band([f32; 5]),
    Words([f32; 4], Vec<[u8; 7]>),
}

/// Paints a texture of `size` by `size` texels, RGBA, rows from the top. An error names the statement and what was
/// expected.
pub(super) fn paint_label(
    text: &str,
    colors: &[[f32; 3]],
    size: u32,
) -> Result<Vec<[u8; 4]>, String> {
    let side = size * SUPERSAMPLING;
    let mut canvas = vec![0usize; (side * side) as usize];
    for statement in text.split(';').map(str::trim).filter(|s| !s.is_empty()) {
        let invalid = |expected: &str| format!("statement `{statement}`: expected {expected}");
        let (area, color) = parse(statement).ok_or_else(|| invalid(USAGE))?;
        if color >= colors.len() {
            return Err(invalid(&format!("a colour index below {}", colors.len())));
        }
        let [x0, y0, x1, y1] = area.bounds();
        let first = |t: f32| ((t * side as f32).floor().max(0.0) as u32).min(side);
        let last = |t: f32| ((t * side as f32).ceil().max(0.0) as u32).min(side);
        for y in first(y0)..last(y1) {
            for x in first(x0)..last(x1) {
                let at = |k: u32| (k as f32 + 0.5) / side as f32;
                if area.covers(at(x), at(y)) {
                    canvas[(y * side + x) as usize] = color;
                }
            }
        }
    }
    let mut texels = Vec::with_capacity((size * size) as usize);
    for y in 0..size {
        for x in 0..size {
            let mut sum = [0.0f32; 3];
            for (dx, dy) in
                (0..SUPERSAMPLING).flat_map(|dx| (0..SUPERSAMPLING).map(move |dy| (dx, dy)))
            {
                let c = colors
                    [canvas[((y * SUPERSAMPLING + dy) * side + x * SUPERSAMPLING + dx) as usize]];
                sum = [0, 1, 2].map(|k| sum[k] + c[k]);
            }
            let b = sum.map(|s| {
                let mean = s / (SUPERSAMPLING * SUPERSAMPLING) as f32;
                (mean.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
            });
            texels.push([b[0], b[1], b[2], 255]);
        }
    }
    Ok(texels)
}

const USAGE: &str = "`fill C`, `rect X0 Y0 X1 Y1 C`, `oval X Y RX RY C`, `band X0 Y0 X1 Y1 W C` or \
                     `words X Y W H C TEXT`";

fn parse(statement: &str) -> Option<(PaintArea, usize)> {
    let mut words = statement.split_whitespace();
    let kind = words.next()?;
    let mut numbers = |n: usize| -> Option<Vec<f32>> {
        (0..n)
            .map(|_| {
                let x: f32 = words.next()?.parse().ok()?;
                x.is_finite().then_some(x)
            })
            .collect()
    };
    let area = match kind {
        "fill" => PaintArea::Rect([0.0, 0.0, 1.0, 1.0]),
        "rect" => PaintArea::Rect(numbers(4)?.try_into().ok()?),
        "oval" => PaintArea::Oval(numbers(4)?.try_into().ok()?),
        "band" => PaintArea::Band(numbers(5)?.try_into().ok()?),
        "words" => PaintArea::Words(numbers(4)?.try_into().ok()?, Vec::new()),
        _ => return None,
    };
    let color: usize = words.next()?.parse().ok()?;
    let rest: Vec<&str> = words.collect();
    match area {
        PaintArea::Words(frame, _) if !rest.is_empty() => {
            let glyphs = rest.join(" ").chars().map(glyph).collect();
            Some((PaintArea::Words(frame, glyphs), color))
        }
        PaintArea::Words(..) => None,
        _ if rest.is_empty() => Some((area, color)),
        _ => None,
    }
}

impl PaintArea {
    /// Left, top, right and bottom of the bounding box.
    fn bounds(&self) -> [f32; 4] {
        match self {
            PaintArea::Rect(r) => *r,
            PaintArea::Oval([x, y, rx, ry]) => [x - rx, y - ry, x + rx, y + ry],
            PaintArea::Band([x0, y0, x1, y1, w]) => [
                x0.min(*x1) - w,
                y0.min(*y1) - w,
                x0.max(*x1) + w,
                y0.max(*y1) + w,
            ],
            PaintArea::Words([x, y, w, h], _) => {
                [x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h]
            }
        }
    }

    fn covers(&self, x: f32, y: f32) -> bool {
        match self {
            PaintArea::Rect([x0, y0, x1, y1]) => *x0 <= x && x < *x1 && *y0 <= y && y < *y1,
            PaintArea::Oval([cx, cy, rx, ry]) => {
                let (dx, dy) = ((x - cx) / rx, (y - cy) / ry);
                dx * dx + dy * dy <= 1.0
            }
            PaintArea::Band([x0, y0, x1, y1, width]) => {
                let (dx, dy) = (x1 - x0, y1 - y0);
                let long = (dx * dx + dy * dy).max(1e-12);
                let along = ((x - x0) * dx + (y - y0) * dy) / long;
                let off = (x - x0) * dy - (y - y0) * dx;
                (0.0..=1.0).contains(&along) && 4.0 * off * off <= width * width * long
            }
            PaintArea::Words([cx, cy, w, h], glyphs) => {
                // Letters are five columns and one of space wide, seven rows high.
                let column = ((x - cx) / w + 0.5) * (6 * glyphs.len() - 1) as f32;
                let row = ((y - cy) / h + 0.5) * 7.0;
                if column < 0.0 || row < 0.0 {
                    return false;
                }
                let (letter, across) = (column as usize / 6, column as usize % 6);
                across < 5
                    && (glyphs.get(letter).and_then(|g| g.get(row as usize)))
                        .is_some_and(|bits| bits >> (4 - across) & 1 == 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: statements paint the described areas, later over earlier; an invalid one is named in the error.
    use super::paint_label;

    const COLORS: [[f32; 3]; 3] = [[0.0; 3], [1.0; 3], [1.0, 0.0, 0.0]];

    #[test]
    fn later_statements_cover_earlier_ones() {
        let t = paint_label(
            "fill 1; rect 0 0 0.5 1 2; oval 0.75 0.5 0.1 0.1 0",
            &COLORS,
            32,
        )
        .unwrap_or_else(|e| panic!("{e}"));
        let at = |x: usize, y: usize| t[y * 32 + x];
        assert_eq!(at(4, 16), [255, 0, 0, 255]);
        assert_eq!(at(24, 16), [0, 0, 0, 255]);
        assert_eq!(at(24, 2), [255, 255, 255, 255]);
    }

    #[test]
    fn words_cover_pixels_inside_their_box_only() {
        let t = paint_label("fill 1; words 0.5 0.5 0.8 0.4 0 HI", &COLORS, 64)
            .unwrap_or_else(|e| panic!("{e}"));
        let dark = |x: usize, y: usize| t[y * 64 + x][0] < 128;
        assert!(dark(8, 32) && dark(45, 32), "stems of H and I");
        assert!((0..64).all(|x| !dark(x, 10) && !dark(x, 54)));
    }

    #[test]
    fn an_invalid_statement_is_named() {
        for bad in [
            "circle 1 2 3 0",
            "rect 0 0 1 0",
            "fill 9",
            "words 0.5 0.5 1 1 0",
            "fill 1 2",
        ] {
            let error = paint_label(bad, &COLORS, 8).expect_err(bad);
            assert!(error.contains(bad), "{error}");
        }
    }
}
