//! List of the goal's predicates with their truth at the playhead.

use super::icons::{Icon, icon_label};
use super::theme::{GOOD, STRONG, WEAK, episode_colour, section};
use crate::session::Session;
use bevy_egui::egui::{Label, RichText, Ui};

/// Draws one line per predicate, with one icon per episode.
pub fn show(ui: &mut Ui, session: &Session) {
    let Some(info) = session.episodes.iter().find_map(|p| p.info.as_ref()) else {
        return;
    };
    section(ui, "GOAL");
    ui.spacing_mut().item_spacing.y = 3.0;
    for (index, predicate) in info.predicates.iter().enumerate() {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            let mut all = true;
            for (place, episode) in session.episodes.iter().enumerate() {
                let holds = episode
                    .state_at(session.playhead)
                    .and_then(|m| m.predicates.get(index).copied());
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
                    let colour = episode_colour(place);
                    ui.horizontal(|ui| {
                        ui.label(RichText::new(&episode.name).color(colour));
                        ui.label(state);
                    });
                });
            }
            let colour = if all { STRONG } else { WEAK };
            ui.add(Label::new(RichText::new(predicate).size(12.5).color(colour)).wrap());
        });
    }
}
