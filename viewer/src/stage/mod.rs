//! The 3D view: bodies, light, the camera one turns around, and what is drawn over the scene.
//!
//! The world keeps the simulation's frame: z up, metres. Episodes that are compared stand in two places far
//! apart, each with a camera of its own, so that neither is seen or shaded by the other's light.

mod camera;
mod hands;
mod held;
mod layers;
mod light;
mod lines;
mod marks;
mod material;
mod orbit;
mod place;
mod plain;
mod scenery;
mod space;
mod wardrobe;

use crate::app::{Settings, Step};
use bevy::prelude::*;

/// Everything that is drawn in 3D.
pub struct StagePlugin;

impl Plugin for StagePlugin {
    fn build(&self, app: &mut App) {
        let fine = app
            .world()
            .get_resource::<Settings>()
            .is_some_and(|s| s.fine);
        app.init_resource::<place::Places>()
            .init_resource::<wardrobe::Wardrobe>()
            .init_resource::<orbit::Orbit>()
            .init_resource::<hands::Hand>();
        plain::build(app);
        camera::build(app);
        light::build(app, fine);
        lines::build(app);
        app.add_systems(Update, hands::hands.in_set(Step::Hands));
        app.add_systems(
            Update,
            (
                place::build_places,
                place::move_bodies,
                camera::look,
                scenery::step_aside,
                layers::show_layers,
                lines::draw,
            )
                .chain()
                .in_set(Step::Draw),
        );
    }
}
