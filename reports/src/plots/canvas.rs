//! Drawing in page units over the SVG and the bitmap backend of plotters.
//!
//! The bitmap is drawn at four times the page size and averaged down to twice the page size: anti-aliasing, which the
//! backend does not have.

use super::PlotFiles;
use crate::{ReportError, printable};
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, register_font};
use std::path::Path;
use std::sync::OnceLock;

/// Colour of text.
pub(super) const TEXT_COLOR: RGBColor = RGBColor(38, 42, 51);
/// Colour of axes and secondary text.
pub(super) const AXIS_COLOR: RGBColor = RGBColor(110, 117, 130);
/// Colour of grid lines.
pub(super) const GRID_COLOR: RGBColor = RGBColor(229, 232, 238);
/// Colour of the full-length track behind a bar.
pub(super) const BAR_TRACK: RGBColor = RGBColor(243, 245, 248);
/// Blue, orange, green, red, violet, brown, then lighter ones; colour-blind readers can tell neighbours apart.
pub(super) const PALETTE: [RGBColor; 10] = [
    RGBColor(47, 109, 181),
    RGBColor(230, 138, 46),
    RGBColor(58, 150, 110),
    RGBColor(196, 69, 78),
    RGBColor(128, 101, 181),
    RGBColor(140, 110, 90),
    RGBColor(78, 178, 211),
    RGBColor(214, 120, 176),
    RGBColor(150, 160, 60),
    RGBColor(90, 90, 100),
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

/// Size, alignment and colour of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFormat {
    /// Height, page units.
    size: f64,
    align: Align,
    color: RGBColor,
}

impl TextFormat {
    /// Builds a format.
    pub const fn new(size: f64, align: Align, color: RGBColor) -> TextFormat {
        TextFormat { size, align, color }
    }
}

/// Position in page units from the top left.
pub(super) type Point = (f64, f64);

/// Drawing surface of a plot, in page units.
pub(super) trait Canvas {
    /// Fills a rectangle from one corner to the opposite one.
    fn fill_rect(&mut self, from: Point, to: Point, color: RGBColor) -> DrawResult;
    /// Draws a horizontal or vertical line.
    fn line(&mut self, from: Point, to: Point, width: f64, color: RGBColor) -> DrawResult;
    /// Draws connected line segments through points.
    fn path(&mut self, points: &[Point], width: f64, color: RGBColor) -> DrawResult;
    /// Fills a circle.
    fn fill_circle(&mut self, at: Point, radius: f64, color: RGBColor) -> DrawResult;
    /// Draws one line of text, vertically centred on the point.
    fn text(&mut self, at: Point, format: TextFormat, text: &str) -> DrawResult;
}

/// Result of a drawing operation, with the message of the backend.
pub(super) type DrawResult = Result<(), String>;

struct PlottersCanvas<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    scale: f64,
}

impl<DB: DrawingBackend> PlottersCanvas<DB> {
    fn at(&self, p: Point) -> (i32, i32) {
        (
            (p.0 * self.scale).round() as i32,
            (p.1 * self.scale).round() as i32,
        )
    }
}

fn draw_error<E: std::error::Error + Send + Sync>(e: DrawingAreaErrorKind<E>) -> String {
    e.to_string()
}

impl<DB: DrawingBackend> Canvas for PlottersCanvas<DB> {
    fn fill_rect(&mut self, from: Point, to: Point, color: RGBColor) -> DrawResult {
        let corners = [self.at(from), self.at(to)];
        self.area
            .draw(&Rectangle::new(corners, color.filled()))
            .map_err(draw_error)
    }

    fn line(&mut self, from: Point, to: Point, width: f64, color: RGBColor) -> DrawResult {
        // A rectangle, because the bitmap backend draws thick lines a little off their place.
        let half = width / 2.0;
        let (dx, dy) = if from.0 == to.0 {
            (half, 0.0)
        } else {
            (0.0, half)
        };
        self.fill_rect((from.0 - dx, from.1 - dy), (to.0 + dx, to.1 + dy), color)
    }

    fn path(&mut self, points: &[Point], width: f64, color: RGBColor) -> DrawResult {
        let points: Vec<(i32, i32)> = points.iter().map(|p| self.at(*p)).collect();
        let width = (width * self.scale).round().max(1.0) as u32;
        self.area
            .draw(&PathElement::new(points, color.stroke_width(width)))
            .map_err(draw_error)
    }

    fn fill_circle(&mut self, at: Point, radius: f64, color: RGBColor) -> DrawResult {
        let radius = (radius * self.scale).round() as i32;
        self.area
            .draw(&Circle::new(self.at(at), radius, color.filled()))
            .map_err(draw_error)
    }

    fn text(&mut self, at: Point, format: TextFormat, text: &str) -> DrawResult {
        let horizontal = match format.align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = TextStyle::from((FONT, format.size * self.scale).into_font())
            .color(&format.color)
            .pos(Pos::new(horizontal, VPos::Center));
        self.area
            .draw(&Text::new(
                printable(text).into_owned(),
                self.at((at.0, at.1 + 1.5)),
                style,
            ))
            .map_err(draw_error)
    }
}

/// Family name under which the font is registered and which SVG viewers look up.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// The font that ships with this crate, so that no system font is needed.
static FONT_FILE: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");

/// Returns true once the font is registered.
fn font_is_ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok())
}

const SUPERSAMPLING: usize = 2;
const PIXELS_PER_UNIT: usize = 2;

/// Returns a plot as the text of an SVG file.
///
/// # Errors
/// If it cannot be drawn.
pub(super) fn svg_text(
    name: &str,
    (width, height): (usize, usize),
    draw: impl Fn(&mut dyn Canvas) -> DrawResult,
) -> Result<String, ReportError> {
    let failed = |what: String| ReportError::Plot {
        plot: name.to_owned(),
        what,
    };
    if !font_is_ready() {
        return Err(failed("the built-in font could not be read".to_owned()));
    }
    let mut text = String::new();
    let size = (width as u32, height as u32);
    draw_page(SVGBackend::with_string(&mut text, size), 1.0, draw).map_err(failed)?;
    Ok(text)
}

/// Draws a plot twice, as `name.svg` and `name.png`.
pub(super) fn write_svg_and_png(
    dir: &Path,
    name: &'static str,
    (width, height): (usize, usize),
    draw: impl Fn(&mut dyn Canvas) -> DrawResult,
) -> Result<PlotFiles, ReportError> {
    let failed = |what: String| ReportError::Plot {
        plot: name.to_owned(),
        what,
    };
    let text = svg_text(name, (width, height), &draw)?;
    let plot = PlotFiles {
        name,
        svg: dir.join(format!("{name}.svg")),
        png: dir.join(format!("{name}.png")),
    };

    crate::write_text(&plot.svg, &text)?;

    let scale = SUPERSAMPLING * PIXELS_PER_UNIT;
    let mut large = vec![255u8; width * height * scale * scale * 3];
    let size = ((width * scale) as u32, (height * scale) as u32);
    draw_page(
        BitMapBackend::with_buffer(&mut large, size),
        scale as f64,
        &draw,
    )
    .map_err(failed)?;
    let (w, h) = (width * PIXELS_PER_UNIT, height * PIXELS_PER_UNIT);
    let pixels = downsample(&large, w, h);
    let mut png = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut png,
        &pixels,
        w as u32,
        h as u32,
        image::ExtendedColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .map_err(|e| ReportError::format(&plot.png, e))?;
    crate::write_atomically(&plot.png, png.get_ref())?;
    Ok(plot)
}

fn draw_page<DB: DrawingBackend>(
    backend: DB,
    scale: f64,
    draw: impl Fn(&mut dyn Canvas) -> DrawResult,
) -> DrawResult {
    let mut page = PlottersCanvas {
        area: backend.into_drawing_area(),
        scale,
    };
    page.area
        .fill(&plotters::style::WHITE)
        .map_err(draw_error)?;
    draw(&mut page)?;
    page.area.present().map_err(draw_error)
}

/// Averages blocks of 2 x 2 pixels of an RGB image down to `width` x `height`.
fn downsample(large: &[u8], width: usize, height: usize) -> Vec<u8> {
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

/// Draws horizontal lines at 0 to 100 percent between two ends, labelled on the left; `y` is the place of a fraction of 1.
pub(super) fn percent_grid(
    c: &mut dyn Canvas,
    (left, right): (f64, f64),
    y: impl Fn(f64) -> f64,
) -> DrawResult {
    for percent in [0, 20, 40, 60, 80, 100] {
        let at = y(f64::from(percent) / 100.0);
        c.line((left, at), (right, at), 1.0, GRID_COLOR)?;
        let format = TextFormat::new(12.0, Align::Right, AXIS_COLOR);
        c.text((left - 8.0, at), format, &format!("{percent} %"))?;
    }
    Ok(())
}

/// Draws title and subtitle of a plot.
pub(super) fn heading(c: &mut dyn Canvas, title: &str, subtitle: &str) -> DrawResult {
    c.text(
        (24.0, 30.0),
        TextFormat::new(20.0, Align::Left, TEXT_COLOR),
        title,
    )?;
    c.text(
        (24.0, 56.0),
        TextFormat::new(13.0, Align::Left, AXIS_COLOR),
        subtitle,
    )
}

/// Returns at most `length` characters of a text; an ellipsis replaces the rest.
pub(super) fn truncate(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Returns the step of a readable axis: 1, 2 or 5 times a power of ten, for at most `ticks` steps up to `top`.
pub(super) fn tick_step(top: f64, ticks: usize) -> f64 {
    let raw = (top / ticks as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= raw * (1.0 - 1e-9))
        .unwrap_or(10.0);
    factor * power
}
