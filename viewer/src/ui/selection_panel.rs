//! Selection of a live episode, in the left panel: suite, task, initial state, policies, and the start button.

use super::catalogue::{Catalogue, PerturbationEntry};
use super::icons::{Icon, icon_button};
use super::theme::{ACCENT, BAD, STRONG, TEXT, WEAK, section};
use crate::session::{EpisodeSelection, Session};
use bevy_egui::egui::{
    Align, Button, Color32, ComboBox, CornerRadius, DragValue, Layout, RichText, ScrollArea, Sense,
    TextWrapMode, Ui, vec2,
};
use bitvla_eval::PolicyName;

/// Draft of a selection; it becomes the displayed episode on Start.
#[derive(Default)]
pub struct SelectionPanel {
    draft: Option<EpisodeSelection>,
    /// Selection that was displayed when the draft was made.
    shown_selection: Option<EpisodeSelection>,
    /// Task that was last scrolled to.
    scrolled_to: Option<usize>,
    catalogue: Option<Catalogue>,
}

impl SelectionPanel {
    /// Suites, tasks and policies, listed at the first call.
    pub fn catalogue(&mut self, session: &Session) -> &mut Catalogue {
        self.catalogue.get_or_insert_with(|| {
            Catalogue::new(
                &session.suite_cache,
                session.policy_options.checkpoint.as_deref(),
            )
        })
    }

    /// Draws the selection, which fills the rest of the panel.
    pub fn show(&mut self, ui: &mut Ui, session: &mut Session) {
        if self.shown_selection.as_ref() != Some(&session.selection) {
            self.shown_selection = Some(session.selection.clone());
            self.draft = Some(session.selection.clone());
            self.scrolled_to = None;
        }
        self.catalogue(session);
        let (Some(draft), Some(catalogue)) = (&mut self.draft, &mut self.catalogue) else {
            return;
        };
        let before = draft.clone();
        suites(ui, draft, catalogue);
        // Space below the list for initial state, two policies, perturbation and buttons.
        let below = 158.0;
        let height = (ui.available_height() - below).max(72.0);
        let start = tasks(ui, draft, catalogue, height, &mut self.scrolled_to);
        initial_state(ui, draft, catalogue);
        let policies = &catalogue.policies;
        row(ui, "policy", |ui| {
            policy_combo(ui, "policy", policies, &mut draft.policy);
        });
        row(ui, "beside", |ui| {
            versus_combo(ui, policies, &mut draft.versus);
        });
        row(ui, "change", |ui| {
            perturbation_combo(ui, &catalogue.perturbations, &mut draft.perturbation);
        });
        if before.suite != draft.suite {
            (draft.task, draft.init) = (0, 0);
            self.scrolled_to = None;
        }
        ui.add_space(4.0);
        let draft = draft.clone();
        if buttons(ui, session, &draft) || start {
            session.selection = draft;
            session.playing = true;
            session.open();
        }
    }
}

fn suites(ui: &mut Ui, draft: &mut EpisodeSelection, catalogue: &Catalogue) {
    section(ui, "SUITE");
    ComboBox::from_id_salt("suite")
        .width(ui.available_width())
        .selected_text(draft.suite.clone())
        .show_ui(ui, |ui| match &catalogue.suites {
            Ok(names) => {
                for name in names {
                    ui.selectable_value(&mut draft.suite, name.clone(), name);
                }
            }
            Err(reason) => {
                ui.colored_label(BAD, reason);
            }
        });
    ui.add_space(2.0);
}

/// Draws the list of tasks. Returns true when one was double-clicked.
fn tasks(
    ui: &mut Ui,
    draft: &mut EpisodeSelection,
    catalogue: &mut Catalogue,
    height: f32,
    scrolled_to: &mut Option<usize>,
) -> bool {
    section(ui, "TASK");
    let mut start = false;
    let frame = bevy_egui::egui::Frame::new()
        .fill(super::theme::WELL)
        .corner_radius(CornerRadius::same(5))
        .inner_margin(4);
    frame.show(ui, |ui| {
        ui.set_min_height(height - 26.0);
        ScrollArea::vertical()
            .id_salt("tasks")
            .max_height(height - 26.0)
            .auto_shrink(false)
            .show(ui, |ui| match catalogue.tasks(&draft.suite) {
                None => {
                    ui.horizontal(|ui| {
                        ui.spinner();
                        ui.colored_label(WEAK, "reading the suite");
                    });
                }
                Some(Err(reason)) => {
                    ui.colored_label(BAD, reason);
                }
                Some(Ok(tasks)) => {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    for (index, task) in tasks.iter().enumerate() {
                        let chosen = index == draft.task;
                        let row = task_row(ui, index, &task.instruction, chosen);
                        if chosen && *scrolled_to != Some(index) {
                            row.scroll_to_me(Some(Align::Center));
                            *scrolled_to = Some(index);
                        }
                        if row.clicked() {
                            draft.task = index;
                            draft.init = draft.init.min(task.inits.saturating_sub(1));
                            *scrolled_to = Some(index);
                        }
                        start |= row.double_clicked();
                    }
                }
            });
    });
    start
}

fn task_row(ui: &mut Ui, index: usize, text: &str, chosen: bool) -> bevy_egui::egui::Response {
    let width = ui.available_width();
    let colour = if chosen { STRONG } else { TEXT };
    let font = bevy_egui::egui::FontId::proportional(12.5);
    let galley = ui
        .painter()
        .layout(text.to_owned(), font, colour, width - 30.0);
    let size = vec2(width, galley.size().y + 6.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let fill = match (chosen, response.hovered()) {
        (true, _) => ui.visuals().selection.bg_fill,
        (false, true) => super::theme::BUTTON,
        (false, false) => Color32::TRANSPARENT,
    };
    let painter = ui.painter();
    painter.rect_filled(rect, CornerRadius::same(4), fill);
    painter.text(
        rect.min + vec2(6.0, 4.0),
        bevy_egui::egui::Align2::LEFT_TOP,
        format!("{index:>2}"),
        bevy_egui::egui::FontId::monospace(11.5),
        WEAK,
    );
    painter.galley(rect.min + vec2(27.0, 3.0), galley, colour);
    response.on_hover_text("Click to choose, double-click to start")
}

/// Draws a row with its name at the left.
fn row(ui: &mut Ui, name: &str, rest: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        let left = Layout::left_to_right(Align::Center);
        ui.allocate_ui_with_layout(vec2(44.0, 20.0), left, |ui| {
            ui.set_min_width(44.0);
            ui.colored_label(WEAK, name);
        });
        rest(ui);
    });
}

fn initial_state(ui: &mut Ui, draft: &mut EpisodeSelection, catalogue: &mut Catalogue) {
    let count = match catalogue.tasks(&draft.suite) {
        Some(Ok(tasks)) => tasks.get(draft.task).map_or(1, |t| t.inits).max(1),
        _ => draft.init + 1,
    };
    let last = count - 1;
    ui.horizontal(|ui| {
        ui.colored_label(WEAK, "initial state");
        if icon_button(
            ui,
            Icon::Previous,
            false,
            draft.init > 0,
            "Previous initial state",
        )
        .clicked()
        {
            draft.init = draft.init.saturating_sub(1);
        }
        let value = DragValue::new(&mut draft.init).range(0..=last).speed(0.1);
        ui.add(value)
            .on_hover_text("Drag, or click to type a number");
        if icon_button(
            ui,
            Icon::Next,
            false,
            draft.init < last,
            "Next initial state",
        )
        .clicked()
        {
            draft.init = (draft.init + 1).min(last);
        }
        ui.colored_label(WEAK, format!("of {count}"));
    });
}

/// Draws a combo box of policies; those that lack files are disabled, with the reason in a tooltip.
pub fn policy_combo(
    ui: &mut Ui,
    id: &str,
    policies: &[(PolicyName, Option<String>)],
    chosen: &mut PolicyName,
) {
    ComboBox::from_id_salt(id)
        .width(ui.available_width())
        .selected_text(chosen.name())
        .show_ui(ui, |ui| {
            for (name, missing) in policies {
                policy_entry(ui, name, missing.as_deref(), chosen == name, |k| {
                    *chosen = k;
                });
            }
        });
}

fn versus_combo(
    ui: &mut Ui,
    policies: &[(PolicyName, Option<String>)],
    chosen: &mut Option<PolicyName>,
) {
    ComboBox::from_id_salt("versus")
        .width(ui.available_width())
        .selected_text(chosen.as_ref().map_or("none", PolicyName::name))
        .show_ui(ui, |ui| {
            ui.selectable_value(chosen, None, "none");
            for (name, missing) in policies {
                policy_entry(
                    ui,
                    name,
                    missing.as_deref(),
                    chosen.as_ref() == Some(name),
                    |k| {
                        *chosen = Some(k);
                    },
                );
            }
        });
}

/// Draws a combo box of perturbations. One from the command line that is none of them stands there in its words.
fn perturbation_combo(ui: &mut Ui, entries: &[PerturbationEntry], chosen: &mut Vec<String>) {
    let found = entries.iter().find(|entry| entry.words == *chosen);
    let shown = match (found, chosen.is_empty()) {
        (_, true) => "none".to_owned(),
        (Some(entry), _) => entry.label.clone(),
        (None, _) => chosen.join(" "),
    };
    let combo = ComboBox::from_id_salt("perturbation")
        .width(ui.available_width())
        .truncate()
        .selected_text(shown)
        .show_ui(ui, |ui| {
            ui.selectable_value(chosen, Vec::new(), "none");
            for entry in entries {
                ui.selectable_value(chosen, entry.words.clone(), &entry.label);
            }
        });
    combo
        .response
        .on_hover_text("Perturbation of the episode, by axis and strength");
}

fn policy_entry(
    ui: &mut Ui,
    name: &PolicyName,
    missing: Option<&str>,
    chosen: bool,
    choose: impl FnOnce(PolicyName),
) {
    let entry = Button::selectable(chosen, name.name());
    let response = ui.add_enabled(missing.is_none(), entry);
    let response = match missing {
        Some(reason) => response.on_disabled_hover_text(reason),
        None => response,
    };
    if response.clicked() {
        choose(name.clone());
    }
}

/// Draws Start and Restart. Returns true when the draft is to be opened.
fn buttons(ui: &mut Ui, session: &mut Session, draft: &EpisodeSelection) -> bool {
    let mut start = false;
    ui.horizontal(|ui| {
        let width = 0.5 * (ui.available_width() - ui.spacing().item_spacing.x);
        let fresh =
            *draft != session.selection || session.mode == crate::session::SessionMode::Recorded;
        let mut button = Button::new(RichText::new("Start").color(STRONG))
            .wrap_mode(TextWrapMode::Extend)
            .min_size(vec2(width, 28.0));
        if fresh {
            button = button.fill(ACCENT.gamma_multiply(0.6));
        }
        start = ui
            .add(button)
            .on_hover_text("Opens the selection above")
            .clicked();
        let restart = Button::new("Restart").min_size(vec2(width, 28.0));
        let restart = ui
            .add(restart)
            .on_hover_text("Plays the displayed episode again from its start (R)");
        if restart.clicked() {
            super::transport::restart(session);
        }
    });
    start
}
