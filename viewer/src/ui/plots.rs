//! Plots of joint torques (N m) and gripper width (mm) over control steps.

use super::theme::{LINE, STRONG, WEAK, episode_colour};
use crate::playback::StepState;
use crate::session::{EpisodePlayback, Session};
use bevy_egui::egui::{Color32, FontId, RichText, Sense, Ui, Vec2, vec2};
use egui_plot::{
    AxisHints, GridInput, GridMark, HoverPosition, Line, Plot, PlotPoint, PlotPoints, VLine,
};
use std::sync::Arc;

/// Colours of the seven joints.
const JOINTS: [Color32; 7] = [
    Color32::from_rgb(88, 166, 232),
    Color32::from_rgb(238, 160, 92),
    Color32::from_rgb(96, 193, 124),
    Color32::from_rgb(230, 106, 98),
    Color32::from_rgb(178, 146, 232),
    Color32::from_rgb(226, 210, 104),
    Color32::from_rgb(110, 206, 206),
];

/// Plot points, kept between frames.
#[derive(Default)]
pub struct Plots {
    series: [EpisodeSeries; 2],
    /// Index of the episode whose torques are plotted.
    torque_of: usize,
}

/// Plot points of one episode.
#[derive(Default)]
struct EpisodeSeries {
    episode: u64,
    /// State that the last point shows.
    last: Option<Arc<StepState>>,
    torque: [Vec<PlotPoint>; 7],
    width: Vec<PlotPoint>,
}

impl EpisodeSeries {
    /// Appends new steps; starts over when earlier ones have changed.
    fn update(&mut self, episode: &EpisodePlayback) {
        let steps = episode.trajectory.steps();
        let kept = self.width.len();
        let before = kept.checked_sub(1).and_then(|i| steps.get(i));
        let same = self.episode == episode.id
            && match (before, &self.last) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
        if !same {
            self.episode = episode.id;
            self.width.clear();
            self.torque.iter_mut().for_each(Vec::clear);
        }
        for step_state in steps.iter().skip(self.width.len()) {
            let step = step_state.step as f64;
            self.width
                .push(PlotPoint::new(step, 1000.0 * step_state.gripper_width));
            for (line, torque) in self.torque.iter_mut().zip(step_state.torque) {
                line.push(PlotPoint::new(step, torque));
            }
        }
        self.last = steps.last().cloned();
    }
}

impl Plots {
    /// Draws both plots, each `height` logical pixels high. Returns the control step of a click or drag.
    pub fn show(&mut self, ui: &mut Ui, session: &Session, range: f64, height: f32) -> Option<f64> {
        for (series, episode) in self.series.iter_mut().zip(&session.episodes) {
            series.update(episode);
        }
        let two = session.episodes.len() == 2;
        if !two {
            self.torque_of = 0;
        }
        self.torque_heading(ui, session, two);
        let series = self.series.get(self.torque_of)?;
        let lines = series.torque.iter().zip(JOINTS).enumerate();
        let lines = lines.map(|(i, (points, colour))| {
            let points = PlotPoints::from(points.as_slice());
            line(format!("joint {}", i + 1), points, colour)
        });
        let torque = plot(
            ui,
            "torque",
            "N m",
            session.playhead,
            range,
            height,
            lines.collect(),
        );
        width_heading(ui, session, two);
        let lines = self.series.iter().zip(&session.episodes).enumerate();
        let lines = lines.map(|(i, (series, episode))| {
            let points = PlotPoints::from(series.width.as_slice());
            line(episode.name.clone(), points, episode_colour(i))
        });
        let width = plot(
            ui,
            "width",
            "mm",
            session.playhead,
            range,
            height,
            lines.collect(),
        );
        torque.or(width)
    }

    fn torque_heading(&mut self, ui: &mut Ui, session: &Session, two: bool) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = if two { 3.0 } else { 5.0 };
            // Two policy names need space.
            heading(
                ui,
                if two {
                    "TORQUES, N m"
                } else {
                    "JOINT TORQUES, N m"
                },
            );
            if two {
                for (i, episode) in session.episodes.iter().enumerate() {
                    let chosen = i == self.torque_of;
                    let colour = if chosen { episode_colour(i) } else { WEAK };
                    let text = RichText::new(&episode.name).small().color(colour);
                    let label = bevy_egui::egui::Label::new(text).sense(Sense::click());
                    let label = ui
                        .add(label)
                        .on_hover_text("Show the torques of this episode");
                    if label.clicked() {
                        self.torque_of = i;
                    }
                }
            }
            for (i, colour) in JOINTS.iter().enumerate() {
                let text = RichText::new((i + 1).to_string()).monospace().size(11.0);
                ui.label(text.color(*colour))
                    .on_hover_text(format!("joint {}", i + 1));
            }
        });
    }
}

fn width_heading(ui: &mut Ui, session: &Session, two: bool) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        heading(ui, "GRIPPER WIDTH, mm");
        for (i, episode) in session.episodes.iter().enumerate().filter(|_| two) {
            ui.label(
                RichText::new(&episode.name)
                    .small()
                    .color(episode_colour(i)),
            );
        }
    });
}

fn heading(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).small().strong().color(WEAK));
}

fn line<'a>(name: String, points: PlotPoints<'a>, colour: Color32) -> Line<'a> {
    Line::new(name, points).color(colour).width(1.4)
}

/// Grid lines at multiples of 1, 2 or 5 times a power of ten, at most about `count` of them.
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

/// Draws one plot. Returns the control step of a click or drag.
fn plot(
    ui: &mut Ui,
    id: &str,
    unit: &'static str,
    at: f64,
    range: f64,
    height: f32,
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
    let width = ui.available_width();
    let plot = Plot::new(id)
        .height(height)
        .width(width)
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
        .y_grid_spacer(move |input| grid(&input, height / 26.0))
        .x_grid_spacer(move |input| grid(&input, width / 52.0))
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
