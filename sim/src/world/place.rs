//! Looking at a state without simulating it: objects are put somewhere and contacts found at once.

use super::{World, build};
use nalgebra::Isometry3;
use rapier3d::math::Vector;
use rapier3d::pipeline::CollisionPipeline;

impl World {
    /// Puts the free instance `i` at a pose, at rest. Poses and contacts that the world reports are
    /// those of before until [`World::look`]. Does nothing for fixtures.
    pub fn place(&mut self, i: usize, pose: &Isometry3<f64>) {
        if self.scene.instances.get(i).is_none_or(|inst| inst.fixed) {
            return;
        }
        let (handle, _) = self.places.bodies[self.first_row[i]];
        let handle = self.places.handles[handle];
        if let Some(body) = self.state.engine.bodies.get_mut(handle) {
            body.set_position(build::to_engine(pose), true);
            body.set_linvel(Vector::ZERO, true);
            body.set_angvel(Vector::ZERO, true);
        }
    }

    /// Finds the contacts of the present poses and takes all samples there, moving nothing. For
    /// comparing predicates with recorded states; a world that is to be stepped does not need it.
    pub fn look(&mut self) {
        let engine = &mut self.state.engine;
        CollisionPipeline::new().step(
            self.parameters.prediction_distance(),
            &mut engine.islands,
            &mut engine.broad_phase,
            &mut engine.narrow_phase,
            &mut engine.bodies,
            &mut engine.colliders,
            &(),
            &(),
        );
        let (q, qd) = self.robot_state();
        self.sample_camera(&q);
        self.sample_late(&q, &qd);
    }
}
