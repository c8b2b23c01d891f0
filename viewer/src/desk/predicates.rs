//! The goal, predicate by predicate, and which of them hold at the step on show.

use super::icons::{Icon, icon_label};
use super::style::{GOOD, STRONG, WEAK, pane_colour, section};
use crate::pane::Show;
use bevy_egui::egui::{Label, RichText, Ui};

/// Draws one line per predicate, with one mark per pane.
pub fn show(ui: &mut Ui, show: &Show) {
    let Some(opening) = show.panes.iter().find_map(|p| p.opening.as_ref()) else {
        return;
    };
    section(ui, "GOAL");
    ui.spacing_mut().item_spacing.y = 3.0;
    for (index, fact) in opening.facts.iter().enumerate() {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            let mut all = true;
            for (place, pane) in show.panes.iter().enumerate() {
                let holds = pane.now(show.at).and_then(|m| m.facts.get(index).copied());
                let (icon, colour) = match holds {
                    Some(true) => (Icon::Check, GOOD),
                    _ => (Icon::Circle, WEAK),
                };
                all &= holds == Some(true);
                let mark = icon_label(ui, icon, colour);
                let state = match holds {
                    Some(true) => "holds",
                    Some(false) => "does not hold",
                    None => "is not known yet",
                };
                mark.on_hover_ui(|ui| {
                    let colour = pane_colour(place);
                    ui.horizontal(|ui| {
                        ui.label(RichText::new(&pane.who).color(colour));
                        ui.label(state);
                    });
                });
            }
            let colour = if all { STRONG } else { WEAK };
            ui.add(Label::new(RichText::new(fact).size(12.5).color(colour)).wrap());
        });
    }
}
