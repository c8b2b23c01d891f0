//! Help window: key bindings and mouse actions.

use super::theme::{TEXT, WEAK, key_cap, section};
use crate::resources::VisibleLayers;
use bevy_egui::egui::{Align2, Context, Grid, RichText, Ui, Window, vec2};

/// Keys and their action.
type KeyBinding = (&'static [&'static str], &'static str);

const TIME: &[KeyBinding] = &[
    (&["Space"], "play, pause"),
    (&["Left", "Right"], "one step; with Shift ten"),
    (&["Home", "End"], "to the start, to the end"),
    (&["Up", "Down"], "faster, slower"),
    (&["R"], "from the start again"),
    (&["N", "B"], "next, previous episode or initial state"),
    (&["C"], "continue live from this step"),
];

const SHOWN: &[KeyBinding] = &[
    (&["1"], "collision shapes"),
    (&["2"], "contacts and forces"),
    (&["3"], "joint axes and hand frame"),
    (&["4"], "trail of the hand"),
    (&["5"], "predicted path of the action chunk"),
    (&["6"], "regions of the goal"),
    (&["7"], "the policy's cameras"),
    (&["8"], "plots"),
    (&["Tab"], "side panels"),
    (&["V"], "next camera"),
    (&["F"], "view as at the start"),
];

const TELEOPERATION: &[KeyBinding] = &[
    (&["K"], "teleoperation on, off"),
    (&["W", "S"], "forward, back"),
    (&["A", "D"], "left, right"),
    (&["E", "Q"], "up, down"),
    (&["L", "J"], "turn about x"),
    (&["I", "M"], "turn about y"),
    (&["U", "O"], "turn about z"),
    (&["G"], "close, open the gripper"),
    (&["Shift"], "slowly, while held"),
];

const MOUSE: &[KeyBinding] = &[
    (&["left drag"], "rotate around the scene"),
    (&["right drag"], "move the scene"),
    (&["wheel"], "nearer, farther"),
    (&["Ctrl", "left drag"], "pull at an object (live)"),
];

const REST: &[KeyBinding] = &[
    (&["F12"], "screenshot of the window"),
    (&["F10"], "begin, end a clip"),
    (&["F1", "H"], "this help"),
    (&["Esc"], "close help, end teleoperation"),
    (&["Ctrl", "Q"], "leave"),
];

/// Draws the help window while `layers.help` is set.
pub fn show(ctx: &Context, layers: &mut VisibleLayers) {
    if !layers.help {
        return;
    }
    Window::new("Keys and mouse")
        .open(&mut layers.help)
        .collapsible(false)
        .resizable(false)
        .anchor(Align2::CENTER_CENTER, vec2(0.0, 0.0))
        .show(ctx, |ui| {
            ui.spacing_mut().interact_size.y = 18.0;
            ui.horizontal_top(|ui| {
                column(ui, "left", &[("TIME", TIME), ("MOUSE", MOUSE), ("ELSE", REST)]);
                ui.add_space(26.0);
                column(ui, "right", &[("SHOW", SHOWN), ("TELEOPERATION", TELEOPERATION)]);
            });
            ui.add_space(6.0);
            ui.label(
                RichText::new(
                    "After an intervention (pulling at an object, teleoperation) an episode is marked as no result of the policy.",
                )
                .color(WEAK),
            );
        });
}

fn column(ui: &mut Ui, id: &str, groups: &[(&str, &[KeyBinding])]) {
    ui.vertical(|ui| {
        for (title, entries) in groups {
            section(ui, title);
            Grid::new((id, title))
                .spacing(vec2(14.0, 4.0))
                .min_col_width(112.0)
                .show(ui, |ui| {
                    for (keys, text) in *entries {
                        ui.horizontal(|ui| {
                            ui.spacing_mut().item_spacing.x = 4.0;
                            for key in *keys {
                                key_cap(ui, key);
                            }
                        });
                        ui.label(RichText::new(*text).color(TEXT));
                        ui.end_row();
                    }
                });
            ui.add_space(8.0);
        }
    });
}
