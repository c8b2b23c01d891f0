//! A page with a few drawing verbs in page units, over the SVG and the bitmap backend of plotters.
//!
//! The bitmap is drawn four times as large and averaged down to twice the page size, which smooths what
//! the backend draws with hard edges.

use super::Plot;
use crate::ReportError;
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, register_font};
use std::path::Path;
use std::sync::OnceLock;

/// Dark text.
pub(super) const INK: RGBColor = RGBColor(38, 42, 51);
/// Secondary text and axes.
pub(super) const GREY: RGBColor = RGBColor(110, 117, 130);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(229, 232, 238);
/// Tracks behind bars.
pub(super) const TRACK: RGBColor = RGBColor(243, 245, 248);
/// Blue, orange, green, red, violet, brown: told apart also by colour-blind readers when neighbours.
pub(super) const PALETTE: [RGBColor; 6] = [
    RGBColor(47, 109, 181),
    RGBColor(230, 138, 46),
    RGBColor(58, 150, 110),
    RGBColor(196, 69, 78),
    RGBColor(128, 101, 181),
    RGBColor(140, 110, 90),
];

/// Horizontal alignment of a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    /// The text begins at the point.
    Left,
    /// The text is centred on the point.
    Middle,
    /// The text ends at the point.
    Right,
}

/// What a plot is drawn on; coordinates are page units from the top left.
pub(super) trait Canvas {
    /// Filled rectangle from one corner to the opposite one.
    fn bar(&mut self, from: (f64, f64), to: (f64, f64), color: RGBColor) -> Drawn;
    /// Straight line, horizontal or vertical.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: RGBColor) -> Drawn;
    /// Connected straight lines through points.
    fn path(&mut self, points: &[(f64, f64)], width: f64, color: RGBColor) -> Drawn;
    /// Filled disc.
    fn disc(&mut self, at: (f64, f64), radius: f64, color: RGBColor) -> Drawn;
    /// One line of text, vertically centred on the point.
    fn text(
        &mut self,
        at: (f64, f64),
        size: f64,
        align: Align,
        color: RGBColor,
        words: &str,
    ) -> Drawn;
}

/// Outcome of a drawing verb, with the complaint of the backend.
pub(super) type Drawn = Result<(), String>;

struct Page<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    scale: f64,
}

impl<DB: DrawingBackend> Page<DB> {
    fn at(&self, p: (f64, f64)) -> (i32, i32) {
        (
            (p.0 * self.scale).round() as i32,
            (p.1 * self.scale).round() as i32,
        )
    }
}

fn told<E: std::error::Error + Send + Sync>(e: DrawingAreaErrorKind<E>) -> String {
    e.to_string()
}

impl<DB: DrawingBackend> Canvas for Page<DB> {
    fn bar(&mut self, from: (f64, f64), to: (f64, f64), color: RGBColor) -> Drawn {
        let corners = [self.at(from), self.at(to)];
        self.area
            .draw(&Rectangle::new(corners, color.filled()))
            .map_err(told)
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, color: RGBColor) -> Drawn {
        // A rectangle, because the bitmap backend draws thick lines a little off their place.
        let half = width / 2.0;
        let (dx, dy) = if from.0 == to.0 {
            (half, 0.0)
        } else {
            (0.0, half)
        };
        self.bar((from.0 - dx, from.1 - dy), (to.0 + dx, to.1 + dy), color)
    }

    fn path(&mut self, points: &[(f64, f64)], width: f64, color: RGBColor) -> Drawn {
        let points: Vec<(i32, i32)> = points.iter().map(|p| self.at(*p)).collect();
        let width = (width * self.scale).round().max(1.0) as u32;
        self.area
            .draw(&PathElement::new(points, color.stroke_width(width)))
            .map_err(told)
    }

    fn disc(&mut self, at: (f64, f64), radius: f64, color: RGBColor) -> Drawn {
        let radius = (radius * self.scale).round() as i32;
        self.area
            .draw(&Circle::new(self.at(at), radius, color.filled()))
            .map_err(told)
    }

    fn text(
        &mut self,
        at: (f64, f64),
        size: f64,
        align: Align,
        color: RGBColor,
        words: &str,
    ) -> Drawn {
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = TextStyle::from((FONT, size * self.scale).into_font())
            .color(&color)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area
            .draw(&Text::new(
                words.to_owned(),
                self.at((at.0, at.1 + 1.5)),
                style,
            ))
            .map_err(told)
    }
}

/// Family name under which the font is registered and which SVG viewers look up.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// The font that ships with this crate, so that no system font is needed.
static FONT_FILE: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");

fn font_is_ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok())
}

const SUPERSAMPLING: usize = 2;
const PIXELS_PER_UNIT: usize = 2;

/// Draws a plot twice, as `name.svg` and `name.png`.
pub(super) fn both(
    dir: &Path,
    name: &'static str,
    (width, height): (usize, usize),
    draw: impl Fn(&mut dyn Canvas) -> Drawn,
) -> Result<Plot, ReportError> {
    let failed = |what: String| ReportError::Plot {
        plot: name.to_owned(),
        what,
    };
    if !font_is_ready() {
        return Err(failed("the built-in font could not be read".to_owned()));
    }
    let plot = Plot {
        name,
        svg: dir.join(format!("{name}.svg")),
        png: dir.join(format!("{name}.png")),
    };

    let mut text = String::new();
    let size = (width as u32, height as u32);
    paint(SVGBackend::with_string(&mut text, size), 1.0, &draw).map_err(failed)?;
    crate::write_text(&plot.svg, &text)?;

    let scale = SUPERSAMPLING * PIXELS_PER_UNIT;
    let mut large = vec![255u8; width * height * scale * scale * 3];
    let size = ((width * scale) as u32, (height * scale) as u32);
    paint(
        BitMapBackend::with_buffer(&mut large, size),
        scale as f64,
        &draw,
    )
    .map_err(failed)?;
    let (w, h) = (width * PIXELS_PER_UNIT, height * PIXELS_PER_UNIT);
    let pixels = halve(&large, w, h);
    image::save_buffer_with_format(
        &plot.png,
        &pixels,
        w as u32,
        h as u32,
        image::ExtendedColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .map_err(|e| ReportError::format(&plot.png, e))?;
    Ok(plot)
}

fn paint<DB: DrawingBackend>(
    backend: DB,
    scale: f64,
    draw: impl Fn(&mut dyn Canvas) -> Drawn,
) -> Drawn {
    let mut page = Page {
        area: backend.into_drawing_area(),
        scale,
    };
    page.area.fill(&plotters::style::WHITE).map_err(told)?;
    draw(&mut page)?;
    page.area.present().map_err(told)
}

/// Averages blocks of 2 x 2 pixels of an RGB image down to `width` x `height`.
fn halve(large: &[u8], width: usize, height: usize) -> Vec<u8> {
    let stride = width * SUPERSAMPLING * 3;
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let at = 2 * y * stride + 6 * x + channel;
                let sum: u16 = [at, at + 3, at + stride, at + stride + 3]
                    .iter()
                    .map(|i| u16::from(large[*i]))
                    .sum();
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    out
}

/// Step of a readable axis: 1, 2 or 5 times a power of ten, for at most `ticks` steps up to `top`.
pub(super) fn tick_step(top: f64, ticks: usize) -> f64 {
    let raw = (top / ticks as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= raw * (1.0 - 1e-9))
        .unwrap_or(10.0);
    factor * power
}
