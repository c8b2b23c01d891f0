//! Episode list of recorded runs, in the left panel: outcomes, filters by outcome and task.

use super::icons::{Icon, paint};
use super::theme::{BAD, BUTTON, CARE, GOOD, TEXT, WEAK, WELL, episode_colour, section};
use crate::session::{Session, SessionMode, paired_records};
use bevy_egui::egui::{
    Align2, Color32, ComboBox, CornerRadius, FontId, Frame, Response, ScrollArea, Sense, Ui, pos2,
    vec2,
};
use bitvla_reports::EpisodeRecord;

const ROW: f32 = 22.0;
/// Distance between the outcome columns of two runs, logical pixels.
const SECOND: f32 = 66.0;

/// Filter of the list by outcome.
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

/// Rows of the list and its filters.
#[derive(Default)]
pub struct EpisodeList {
    rows: Vec<(EpisodeRecord, Option<EpisodeRecord>)>,
    loaded: bool,
    tasks: Vec<usize>,
    filter: Filter,
    task: Option<usize>,
    /// Indices of rows that pass the filters.
    listed: Vec<usize>,
    /// Episode that was displayed in the last frame; the list scrolls when it changes.
    open: Option<(usize, usize)>,
    /// Scroll offset and height of the list in the last frame, logical pixels.
    window: (f32, f32),
}

impl EpisodeList {
    /// Collects the rows of the loaded runs; does nothing from the second call on.
    pub fn load(&mut self, session: &Session) {
        if self.loaded {
            return;
        }
        self.loaded = true;
        self.rows = paired_records(&session.runs);
        self.tasks = self.rows.iter().map(|(row, _)| row.task).collect();
        self.tasks.dedup();
        self.apply_filters();
    }

    fn apply_filters(&mut self) {
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

    /// Opens the next or previous listed episode that has a recording.
    pub fn open_adjacent(&self, session: &mut Session, forward: bool) {
        let open = (session.selection.task, session.selection.init);
        let playable = |i: &&usize| self.rows.get(**i).is_some_and(playable);
        let key = |i: &usize| self.rows.get(*i).map(|(row, _)| row.key());
        let listed = self.listed.iter().filter(playable);
        let next = if forward {
            listed.filter_map(key).find(|k| *k > open)
        } else {
            listed.filter_map(key).rfind(|k| *k < open)
        };
        if let Some(next) = next {
            resume_if_ended(session);
            session.open_recorded(next);
        }
    }

    /// Draws filters and list, leaving `below` logical pixels free. Returns a message when the clicked episode has no
    /// recording.
    pub fn show(&mut self, ui: &mut Ui, session: &mut Session, below: f32) -> Option<String> {
        self.load(session);
        let two = session.runs.len() == 2;
        self.summary(ui, session);
        self.filters(ui, two);
        let open = (session.selection.task, session.selection.init);
        let recorded = session.mode != SessionMode::Live;
        let heading = if two { 19.0 } else { 0.0 };
        let height = (ui.available_height() - below - heading - 8.0).max(ROW * 3.0);
        let mut clicked = None;
        if two {
            columns(ui, session);
        }
        let frame = Frame::new()
            .fill(WELL)
            .corner_radius(CornerRadius::same(5))
            .inner_margin(4);
        frame.show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.set_min_height(height - 8.0);
            let mut area = ScrollArea::vertical()
                .id_salt("episodes")
                .auto_shrink(false)
                .max_height(height - 8.0);
            if self.open != Some(open) {
                self.open = Some(open);
                if let Some(offset) = self.offset_to(open) {
                    area = area.vertical_scroll_offset(offset);
                }
            }
            if self.listed.is_empty() {
                ui.colored_label(WEAK, "no episode passes the filters");
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
            resume_if_ended(session);
            session.open_recorded(row.0.key());
            return None;
        }
        Some(format!(
            "task {} initial state {} has no recording: {}",
            row.0.task, row.0.init, row.0.error
        ))
    }

    /// Scroll offset that makes an episode visible; none when it is visible already or not listed.
    fn offset_to(&self, key: (usize, usize)) -> Option<f32> {
        let is = |i: &usize| self.rows.get(*i).is_some_and(|(r, _)| r.key() == key);
        let top = self.listed.iter().position(is)? as f32 * ROW;
        let (from, height) = self.window;
        if height > 0.0 && top >= from && top + ROW <= from + height {
            return None;
        }
        Some((top - 3.0 * ROW).max(0.0))
    }

    fn summary(&self, ui: &mut Ui, session: &Session) {
        for (i, run) in session.runs.iter().enumerate() {
            let rows = &run.folder.episodes;
            let reached = rows.iter().filter(|r| r.success).count();
            let broken = rows.iter().filter(|r| !r.completed()).count();
            let colour = if session.runs.len() == 2 {
                episode_colour(i)
            } else {
                TEXT
            };
            let name = rows.first().map_or("", |r| r.policy.as_str());
            let mut line = super::theme::Line::default()
                .name(name, colour)
                .text("  reached ")
                .number(&format!("{reached}/{}", rows.len()));
            if broken > 0 {
                line = line.text(&format!("  errors {broken}"));
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
                    "Episodes in which at least one run failed",
                ),
                (
                    Filter::Successes,
                    "successes",
                    "Episodes in which every run succeeded",
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
                    let text = self.rows.iter().find(|(r, _)| r.task == *task);
                    let text = text.map_or("", |(r, _)| r.instruction.as_str());
                    ui.selectable_value(&mut self.task, Some(*task), format!("{task:>2}  {text}"));
                }
            });
        if (self.filter, self.task) != before {
            self.apply_filters();
        }
    }
}

/// Starts playback if the displayed episode was played to its end, so that the next one plays.
pub fn resume_if_ended(session: &mut Session) {
    session.playing |= session.finished() && session.playhead >= session.last() as f64;
}

/// Returns true if at least one run has a recording of the episode.
fn playable((a, b): &(EpisodeRecord, Option<EpisodeRecord>)) -> bool {
    a.completed() || b.as_ref().is_some_and(EpisodeRecord::completed)
}

/// Draws the column headings for two runs.
fn columns(ui: &mut Ui, session: &Session) {
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
    for (i, run) in session.runs.iter().enumerate() {
        let name = run
            .folder
            .episodes
            .first()
            .map_or("", |r| r.policy.as_str());
        let right = rect.right() - 21.0 - if i == 0 { SECOND } else { 0.0 };
        let right = pos2(right, y);
        painter.text(
            right,
            Align2::RIGHT_CENTER,
            name,
            font.clone(),
            episode_colour(i),
        );
    }
}

fn outcome_icon(row: &EpisodeRecord) -> (Icon, Color32) {
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
        let (icon, colour) = outcome_icon(row);
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
