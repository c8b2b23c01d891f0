//! The left panel of recorded runs: the list of episodes, what came of each, and filters.

use super::icons::{Icon, paint};
use super::style::{BAD, BUTTON, CARE, GOOD, TEXT, WEAK, WELL, pane_colour, section};
use crate::pane::{Mode, Show};
use bevy_egui::egui::{
    Align2, Color32, ComboBox, CornerRadius, FontId, Frame, Response, ScrollArea, Sense, Ui, pos2,
    vec2,
};
use bitvla_reports::EpisodeRecord;

const ROW: f32 = 22.0;
/// Distance between the outcomes of two runs.
const SECOND: f32 = 66.0;

/// Which episodes are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Filter {
    /// All of them.
    #[default]
    All,
    /// Those that failed, in either run.
    Failures,
    /// Those that succeeded, in all runs.
    Successes,
    /// Those with different outcomes.
    Differing,
}

/// The list and its filters.
#[derive(Default)]
pub struct Episodes {
    rows: Vec<(EpisodeRecord, Option<EpisodeRecord>)>,
    read: bool,
    tasks: Vec<usize>,
    filter: Filter,
    task: Option<usize>,
    /// Indices of rows that the filters let through.
    listed: Vec<usize>,
    /// What was open at the last look; the list scrolls to it when it changes.
    open: Option<(usize, usize)>,
    /// First visible pixel row and height of the list at the last look.
    window: (f32, f32),
}

impl Episodes {
    /// Reads the rows of the opened runs once.
    pub fn read(&mut self, show: &Show) {
        if self.read {
            return;
        }
        self.read = true;
        self.rows = show.rows();
        self.tasks = self.rows.iter().map(|(row, _)| row.task).collect();
        self.tasks.dedup();
        self.sift();
    }

    fn sift(&mut self) {
        let (filter, task) = (self.filter, self.task);
        let passes = |(a, b): &(EpisodeRecord, Option<EpisodeRecord>)| {
            let b = b.as_ref();
            let all = a.success && b.is_none_or(|b| b.success);
            let outcome = match filter {
                Filter::All => true,
                Filter::Failures => !all,
                Filter::Successes => all,
                Filter::Differing => b.is_some_and(|b| b.success != a.success),
            };
            outcome && task.is_none_or(|t| t == a.task)
        };
        let rows = self.rows.iter().enumerate();
        self.listed = rows.filter(|(_, r)| passes(r)).map(|(i, _)| i).collect();
        self.open = None;
    }

    /// Opens the next or previous listed episode that ran to its end.
    pub fn beside(&self, show: &mut Show, forward: bool) {
        let open = (show.choice.task, show.choice.init);
        let playable = |i: &&usize| self.rows.get(**i).is_some_and(playable);
        let key = |i: &usize| self.rows.get(*i).map(|(row, _)| row.key());
        let listed = self.listed.iter().filter(playable);
        let next = if forward {
            listed.filter_map(key).find(|k| *k > open)
        } else {
            listed.filter_map(key).rfind(|k| *k < open)
        };
        if let Some(next) = next {
            play_on(show);
            show.open_recorded(next);
        }
    }

    /// Draws filters and list into what is left of the panel. An answer is to be shown to the person.
    pub fn show(&mut self, ui: &mut Ui, show: &mut Show, below: f32) -> Option<String> {
        self.read(show);
        let two = show.runs.len() == 2;
        self.summary(ui, show);
        self.filters(ui, two);
        let open = (show.choice.task, show.choice.init);
        let recorded = show.mode != Mode::Live;
        let heading = if two { 19.0 } else { 0.0 };
        let tall = (ui.available_height() - below - heading - 8.0).max(ROW * 3.0);
        let mut clicked = None;
        if two {
            columns(ui, show);
        }
        let well = Frame::new()
            .fill(WELL)
            .corner_radius(CornerRadius::same(5))
            .inner_margin(4);
        well.show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.set_min_height(tall - 8.0);
            let mut area = ScrollArea::vertical()
                .id_salt("episodes")
                .auto_shrink(false)
                .max_height(tall - 8.0);
            if self.open != Some(open) {
                self.open = Some(open);
                if let Some(offset) = self.offset_to(open) {
                    area = area.vertical_scroll_offset(offset);
                }
            }
            if self.listed.is_empty() {
                ui.colored_label(WEAK, "no episode is like that");
                return;
            }
            let out = area.show_rows(ui, ROW, self.listed.len(), |ui, range| {
                for index in range {
                    let Some(row) = self.listed.get(index).and_then(|i| self.rows.get(*i)) else {
                        continue;
                    };
                    let chosen = recorded && row.0.key() == open;
                    if episode_row(ui, row, chosen).clicked() {
                        clicked = Some(row.clone());
                    }
                }
            });
            self.window = (out.state.offset.y, out.inner_rect.height());
        });
        let row = clicked?;
        if playable(&row) {
            self.open = Some(row.0.key());
            play_on(show);
            show.open_recorded(row.0.key());
            return None;
        }
        Some(format!(
            "task {} initial state {} has no recording: {}",
            row.0.task, row.0.init, row.0.error
        ))
    }

    /// Where the list must begin so that an episode is visible; none when it is, or is not listed.
    fn offset_to(&self, key: (usize, usize)) -> Option<f32> {
        let is = |i: &usize| self.rows.get(*i).is_some_and(|(r, _)| r.key() == key);
        let top = self.listed.iter().position(is)? as f32 * ROW;
        let (from, height) = self.window;
        if height > 0.0 && top >= from && top + ROW <= from + height {
            return None;
        }
        Some((top - 3.0 * ROW).max(0.0))
    }

    fn summary(&self, ui: &mut Ui, show: &Show) {
        for (i, run) in show.runs.iter().enumerate() {
            let rows = &run.folder.episodes;
            let reached = rows.iter().filter(|r| r.success).count();
            let broken = rows.iter().filter(|r| !r.completed()).count();
            let colour = if show.runs.len() == 2 {
                pane_colour(i)
            } else {
                TEXT
            };
            let who = rows.first().map_or("", |r| r.policy.as_str());
            let mut line = super::style::Line::default()
                .name(who, colour)
                .words("  reached ")
                .number(&format!("{reached}/{}", rows.len()));
            if broken > 0 {
                line = line.words(&format!("  errors {broken}"));
            }
            let label = bevy_egui::egui::Label::new(line.job()).truncate();
            ui.add(label)
                .on_hover_text(format!("{}", run.dir.display()));
        }
    }

    fn filters(&mut self, ui: &mut Ui, two: bool) {
        let before = (self.filter, self.task);
        section(ui, "EPISODES");
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(3.0, 3.0);
            ui.spacing_mut().button_padding.x = 6.0;
            for (filter, name, tip) in [
                (Filter::All, "all", "All episodes"),
                (
                    Filter::Failures,
                    "failures",
                    "Episodes that at least one run failed",
                ),
                (
                    Filter::Successes,
                    "successes",
                    "Episodes that every run here finished",
                ),
                (
                    Filter::Differing,
                    "differing",
                    "Episodes in which one run failed and the other did not",
                ),
            ] {
                if filter == Filter::Differing && !two {
                    continue;
                }
                ui.selectable_value(&mut self.filter, filter, name)
                    .on_hover_text(tip);
            }
        });
        let name = |task: Option<usize>| match task {
            None => "all tasks".to_owned(),
            Some(task) => format!("task {task}"),
        };
        ComboBox::from_id_salt("task filter")
            .width(ui.available_width())
            .selected_text(name(self.task))
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut self.task, None, name(None));
                for task in &self.tasks {
                    let words = self.rows.iter().find(|(r, _)| r.task == *task);
                    let words = words.map_or("", |(r, _)| r.instruction.as_str());
                    ui.selectable_value(&mut self.task, Some(*task), format!("{task:>2}  {words}"));
                }
            });
        if (self.filter, self.task) != before {
            self.sift();
        }
    }
}

/// Whoever watched an episode to its end wants to see the next one move.
pub fn play_on(show: &mut Show) {
    show.playing |= show.over() && show.at >= show.last() as f64;
}

/// Whether any of the runs has a recording of it.
fn playable((a, b): &(EpisodeRecord, Option<EpisodeRecord>)) -> bool {
    a.completed() || b.as_ref().is_some_and(EpisodeRecord::completed)
}

/// What the columns of two runs are.
fn columns(ui: &mut Ui, show: &Show) {
    let size = vec2(ui.available_width(), 14.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let font = FontId::proportional(11.5);
    let y = rect.center().y;
    let painter = ui.painter();
    painter.text(
        pos2(rect.left() + 11.0, y),
        Align2::LEFT_CENTER,
        "task    init",
        font.clone(),
        WEAK,
    );
    for (i, run) in show.runs.iter().enumerate() {
        let who = run
            .folder
            .episodes
            .first()
            .map_or("", |r| r.policy.as_str());
        let right = rect.right() - 21.0 - if i == 0 { SECOND } else { 0.0 };
        let right = pos2(right, y);
        painter.text(
            right,
            Align2::RIGHT_CENTER,
            who,
            font.clone(),
            pane_colour(i),
        );
    }
}

fn mark_of(row: &EpisodeRecord) -> (Icon, Color32) {
    match (row.completed(), row.success) {
        (false, _) => (Icon::Warning, CARE),
        (true, true) => (Icon::Check, GOOD),
        (true, false) => (Icon::Cross, BAD),
    }
}

fn episode_row(
    ui: &mut Ui,
    (a, b): &(EpisodeRecord, Option<EpisodeRecord>),
    chosen: bool,
) -> Response {
    let size = vec2(ui.available_width(), ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let fill = match (chosen, response.hovered()) {
        (true, _) => ui.visuals().selection.bg_fill,
        (false, true) => BUTTON,
        (false, false) => Color32::TRANSPARENT,
    };
    let painter = ui.painter();
    painter.rect_filled(rect.shrink2(vec2(0.0, 1.0)), CornerRadius::same(4), fill);
    let y = rect.center().y;
    painter.text(
        pos2(rect.left() + 7.0, y),
        Align2::LEFT_CENTER,
        if b.is_some() {
            format!("{:>4}   {:>3}", a.task, a.init)
        } else {
            format!("task {:>2}  init {:>2}", a.task, a.init)
        },
        FontId::monospace(12.0),
        TEXT,
    );
    let outcome = |right: f32, row: &EpisodeRecord| {
        let (icon, colour) = mark_of(row);
        let steps = if row.completed() {
            row.steps.to_string()
        } else {
            "error".into()
        };
        let at = pos2(right, y);
        let font = FontId::monospace(12.0);
        painter.text(at, Align2::RIGHT_CENTER, steps, font, WEAK);
        let left = if row.completed() { 38.0 } else { 46.0 };
        paint(painter, icon, pos2(right - left, y), 5.0, colour);
    };
    let right = rect.right() - 10.0;
    match b {
        Some(b) => {
            outcome(right, b);
            outcome(right - SECOND, a);
        }
        None => outcome(right, a),
    }
    response.on_hover_ui(|ui| {
        ui.label(&a.instruction);
        for row in std::iter::once(a).chain(b) {
            if row.completed() {
                let how = if row.success {
                    "reached"
                } else {
                    "not reached"
                };
                ui.label(format!("{}: {how}, {} steps", row.policy, row.steps));
            } else {
                ui.colored_label(CARE, format!("{}: {}", row.policy, row.error));
            }
        }
    })
}
