//! Joint torques and gripper width over the steps.

use super::style::{LINE, STRONG, WEAK, pane_colour};
use crate::pane::{Pane, Show};
use crate::theatre::Moment;
use bevy_egui::egui::{Color32, FontId, RichText, Sense, Ui, Vec2, vec2};
use egui_plot::{
    AxisHints, GridInput, GridMark, HoverPosition, Line, Plot, PlotPoint, PlotPoints, VLine,
};
use std::sync::Arc;

/// Lines of the seven joints.
const JOINTS: [Color32; 7] = [
    Color32::from_rgb(88, 166, 232),
    Color32::from_rgb(238, 160, 92),
    Color32::from_rgb(96, 193, 124),
    Color32::from_rgb(230, 106, 98),
    Color32::from_rgb(178, 146, 232),
    Color32::from_rgb(226, 210, 104),
    Color32::from_rgb(110, 206, 206),
];

/// Points of the plots, kept from frame to frame.
#[derive(Default)]
pub struct Plots {
    series: [Series; 2],
    /// The pane whose torques are plotted.
    torque_of: usize,
}

/// Points of one pane.
#[derive(Default)]
struct Series {
    pane: u64,
    /// The moment behind the last point.
    last: Option<Arc<Moment>>,
    torque: [Vec<PlotPoint>; 7],
    width: Vec<PlotPoint>,
}

impl Series {
    /// Appends what is new; begins anew when the past changed.
    fn follow(&mut self, pane: &Pane) {
        let moments = pane.track.moments();
        let kept = self.width.len();
        let before = kept.checked_sub(1).and_then(|i| moments.get(i));
        let same = self.pane == pane.id
            && match (before, &self.last) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
        if !same {
            self.pane = pane.id;
            self.width.clear();
            self.torque.iter_mut().for_each(Vec::clear);
        }
        for moment in moments.iter().skip(self.width.len()) {
            let step = moment.step as f64;
            self.width
                .push(PlotPoint::new(step, 1000.0 * moment.gripper_width));
            for (line, torque) in self.torque.iter_mut().zip(moment.torque) {
                line.push(PlotPoint::new(step, torque));
            }
        }
        self.last = moments.last().cloned();
    }
}

impl Plots {
    /// Draws both plots, each `tall` pixels high. A click or drag answers where it was, in steps.
    pub fn show(&mut self, ui: &mut Ui, show: &Show, range: f64, tall: f32) -> Option<f64> {
        for (series, pane) in self.series.iter_mut().zip(&show.panes) {
            series.follow(pane);
        }
        let two = show.panes.len() == 2;
        if !two {
            self.torque_of = 0;
        }
        self.torque_heading(ui, show, two);
        let series = self.series.get(self.torque_of)?;
        let lines = series.torque.iter().zip(JOINTS).enumerate();
        let lines = lines.map(|(i, (points, colour))| {
            let points = PlotPoints::from(points.as_slice());
            line(format!("joint {}", i + 1), points, colour)
        });
        let torque = plot(ui, "torque", "N m", show.at, range, tall, lines.collect());
        width_heading(ui, show, two);
        let lines = self.series.iter().zip(&show.panes).enumerate();
        let lines = lines.map(|(i, (series, pane))| {
            let points = PlotPoints::from(series.width.as_slice());
            line(pane.who.clone(), points, pane_colour(i))
        });
        let width = plot(ui, "width", "mm", show.at, range, tall, lines.collect());
        torque.or(width)
    }

    fn torque_heading(&mut self, ui: &mut Ui, show: &Show, two: bool) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = if two { 3.0 } else { 5.0 };
            // Two names leave less room.
            heading(
                ui,
                if two {
                    "TORQUES, N m"
                } else {
                    "JOINT TORQUES, N m"
                },
            );
            if two {
                for (i, pane) in show.panes.iter().enumerate() {
                    let chosen = i == self.torque_of;
                    let colour = if chosen { pane_colour(i) } else { WEAK };
                    let words = RichText::new(&pane.who).small().color(colour);
                    let label = bevy_egui::egui::Label::new(words).sense(Sense::click());
                    let label = ui.add(label).on_hover_text("Show this one's torques");
                    if label.clicked() {
                        self.torque_of = i;
                    }
                }
            }
            for (i, colour) in JOINTS.iter().enumerate() {
                let words = RichText::new((i + 1).to_string()).monospace().size(11.0);
                ui.label(words.color(*colour))
                    .on_hover_text(format!("joint {}", i + 1));
            }
        });
    }
}

fn width_heading(ui: &mut Ui, show: &Show, two: bool) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        heading(ui, "GRIPPER WIDTH, mm");
        for (i, pane) in show.panes.iter().enumerate().filter(|_| two) {
            ui.label(RichText::new(&pane.who).small().color(pane_colour(i)));
        }
    });
}

fn heading(ui: &mut Ui, words: &str) {
    ui.label(RichText::new(words).small().strong().color(WEAK));
}

fn line<'a>(name: String, points: PlotPoints<'a>, colour: Color32) -> Line<'a> {
    Line::new(name, points).color(colour).width(1.4)
}

/// Round numbers, at most about `count` of them.
fn grid(input: &GridInput, count: f32) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    let least = (to - from) / f64::from(count.max(1.0));
    if !(least.is_finite() && least > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|m| m * power);
    let step_size = step
        .into_iter()
        .find(|s| *s >= least)
        .unwrap_or(10.0 * power);
    let (first, last) = ((from / step_size).ceil(), (to / step_size).floor());
    (first as i64..=last as i64)
        .map(|i| GridMark {
            value: i as f64 * step_size,
            step_size,
        })
        .collect()
}

/// One plot. A click or drag answers where it was.
fn plot(
    ui: &mut Ui,
    id: &str,
    unit: &'static str,
    at: f64,
    range: f64,
    tall: f32,
    lines: Vec<Line<'_>>,
) -> Option<f64> {
    let font = FontId::monospace(10.0);
    let y = AxisHints::new_y()
        .min_thickness(30.0)
        .tick_label_font(font.clone())
        .tick_label_color(WEAK)
        .label_spacing(8.0..=10.0);
    let x = AxisHints::new_x()
        .tick_label_font(font)
        .tick_label_color(WEAK)
        .label_spacing(8.0..=10.0);
    let wide = ui.available_width();
    let plot = Plot::new(id)
        .height(tall)
        .width(wide)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .allow_axis_zoom_drag(false)
        .show_crosshair(false)
        .sense(Sense::click_and_drag())
        .custom_y_axes(vec![y])
        .custom_x_axes(vec![x])
        .grid_color(LINE)
        .grid_spacing(8.0..=60.0)
        .y_grid_spacer(move |input| grid(&input, tall / 26.0))
        .x_grid_spacer(move |input| grid(&input, wide / 52.0))
        .set_margin_fraction(vec2(0.0, 0.06))
        .include_x(0.0)
        .include_x(range)
        .include_y(0.0)
        .label_formatter(move |hover| match hover {
            HoverPosition::NearDataPoint {
                plot_name,
                position,
                ..
            } if !plot_name.is_empty() => Some(format!(
                "{plot_name}\nstep {:.0}\n{:.2} {unit}",
                position.x, position.y
            )),
            _ => None,
        });
    ui.spacing_mut().item_spacing = Vec2::new(6.0, 4.0);
    let shown = plot.show(ui, |plot| {
        let now = VLine::new("", at).color(STRONG.gamma_multiply(0.8));
        plot.vline(now.width(1.0).allow_hover(false));
        for line in lines {
            plot.line(line);
        }
        plot.pointer_coordinate().map(|p| p.x)
    });
    let hit = shown.response.clicked() || shown.response.dragged();
    shown.inner.filter(|_| hit)
}
