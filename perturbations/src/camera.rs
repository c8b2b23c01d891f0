//! The camera that looks at the table, moved as in LIBERO-plus.

use crate::{Draws, EpisodeKey};
use bitvla_sim::{CameraDesc, SceneDesc};
use nalgebra::{Point3, Quaternion, UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};

/// Point about which the camera goes up and nearer, world frame, m.
const PIVOT: [f64; 3] = [0.0, 0.0, 0.8];
/// Yaw of a level, degrees per level: LIBERO-plus goes to 75.
pub(crate) const YAW_OF_LEVEL: f64 = 15.0;

/// Another place of the camera `agentview`. In this order: up about the pivot (`pitch`), round the vertical through the origin (`yaw`), away from the pivot
/// (`distance`), shifted (`offset`); then its orientation alone is turned (`roll` about the vertical, `tilt` about y).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CameraChange {
    /// Strength 1 to 5: a yaw of 15 degrees per level, to a drawn side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Round the vertical, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yaw: Option<f64>,
    /// Up, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch: Option<f64>,
    /// Factor of the distance from the pivot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// Turn of the camera in its place about the vertical, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll: Option<f64>,
    /// Turn of the camera in its place about the y axis, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tilt: Option<f64>,
    /// Shift, world frame, m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<[f64; 3]>,
    /// Place in the world before all of these, m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pos: Option<[f64; 3]>,
    /// Orientation in the world before all of these, `[w, x, y, z]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quat: Option<[f64; 4]>,
    /// Change of the vertical field of view, degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fovy: Option<f64>,
}

impl CameraChange {
    /// Refuses numbers that are none of a camera; field, found and expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        let angles = [
            ("yaw", self.yaw, 180.0),
            ("pitch", self.pitch, 90.0),
            ("roll", self.roll, 180.0),
            ("tilt", self.tilt, 180.0),
            ("fovy", self.fovy, 30.0),
        ];
        for (field, value, most) in angles {
            if let Some(value) = value.filter(|v| v.is_nan() || v.abs() > most) {
                return Err(format!(
                    "{field}: found {value}, expected -{most} to {most} degrees"
                ));
            }
        }
        if let Some(factor) = self.distance.filter(|v| !(0.2..=5.0).contains(v)) {
            return Err(format!(
                "distance: found {factor}, expected a factor of 0.2 to 5"
            ));
        }
        if let Some(pos) = self
            .pos
            .filter(|p| p.iter().any(|v| v.is_nan() || v.abs() > 5.0))
        {
            return Err(format!("pos: found {pos:?}, expected -5 to 5 m"));
        }
        let is_unit = |q: &[f64; 4]| {
            let length = libm::sqrt(q.iter().map(|v| v * v).sum::<f64>());
            (length - 1.0).abs() < 0.01
        };
        if let Some(quat) = self.quat.filter(|q| !is_unit(q)) {
            return Err(format!(
                "quat: found {quat:?}, expected a unit quaternion [w, x, y, z]"
            ));
        }
        match self
            .offset
            .filter(|o| o.iter().any(|v| v.is_nan() || v.abs() > 2.0))
        {
            Some(offset) => Err(format!("offset: found {offset:?}, expected -2 to 2 m")),
            None => Ok(()),
        }
    }

    /// Moves the camera of a scene that is not on the robot.
    pub(crate) fn apply(&self, scene: &mut SceneDesc, key: EpisodeKey) {
        let mut change = *self;
        let place = |camera: &mut CameraDesc| {
            if let Some(pos) = self.pos {
                camera.pos = pos;
            }
            if let Some(quat) = self.quat {
                camera.quat_wxyz = quat;
            }
        };
        if let Some(level) = self.level {
            let yaw = YAW_OF_LEVEL * f64::from(level) * Draws::new(key, "camera").sign();
            change.yaw = Some(yaw + self.yaw.unwrap_or(0.0));
        }
        let arena = std::sync::Arc::make_mut(&mut scene.arena);
        if let Some(camera) = arena.cameras.iter_mut().find(|c| c.body.is_none()) {
            place(camera);
            change.move_camera(camera);
        }
    }

    fn move_camera(&self, camera: &mut CameraDesc) {
        let rotation = |axis: Vector3<f64>, degrees: Option<f64>| {
            let half = 0.5 * degrees.unwrap_or(0.0).to_radians();
            let v = axis * libm::sin(half);
            UnitQuaternion::from_quaternion(Quaternion::new(libm::cos(half), v.x, v.y, v.z))
        };
        let up = rotation(Vector3::y(), self.pitch.map(|degrees| -degrees));
        let round = rotation(Vector3::z(), self.yaw);
        let pivot = Point3::from(PIVOT);
        let from = Point3::from(camera.pos);
        let raised = round * (pivot + up * (from - pivot));
        let away = pivot + (raised - pivot) * self.distance.unwrap_or(1.0);
        camera.pos = (away + Vector3::from(self.offset.unwrap_or_default()))
            .coords
            .into();
        let [w, x, y, z] = camera.quat_wxyz;
        let own = UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z));
        let turned = rotation(Vector3::y(), self.tilt.map(|degrees| -degrees))
            * rotation(Vector3::z(), self.roll)
            * round
            * up
            * own;
        camera.quat_wxyz = [turned.w, turned.i, turned.j, turned.k];
        camera.fovy_deg += self.fovy.unwrap_or(0.0);
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a camera that looked at a point about which it is moved still looks at it, from the angle and distance that were asked for.
    use super::*;

    fn camera() -> CameraDesc {
        // Looks from (1, 0, 0.8) along -x at the pivot; +z is up.
        let half = std::f64::consts::FRAC_1_SQRT_2 * std::f64::consts::FRAC_1_SQRT_2;
        CameraDesc {
            name: "agentview".into(),
            body: None,
            pos: [1.0, 0.0, 0.8],
            quat_wxyz: [half, half, half, half],
            fovy_deg: 45.0,
        }
    }

    fn view(camera: &CameraDesc) -> Vector3<f64> {
        let [w, x, y, z] = camera.quat_wxyz;
        UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z)) * -Vector3::z()
    }

    #[test]
    fn the_camera_goes_where_it_is_told() {
        let start = camera();
        assert!((view(&start) + Vector3::x()).norm() < 1e-12);
        let moved = |change: CameraChange| {
            let mut camera = camera();
            change.move_camera(&mut camera);
            camera
        };
        let left = moved(CameraChange {
            yaw: Some(90.0),
            ..CameraChange::default()
        });
        assert!((Vector3::from(left.pos) - Vector3::new(0.0, 1.0, 0.8)).norm() < 1e-12);
        assert!((view(&left) + Vector3::y()).norm() < 1e-12);
        let above = moved(CameraChange {
            pitch: Some(90.0),
            ..CameraChange::default()
        });
        assert!((Vector3::from(above.pos) - Vector3::new(0.0, 0.0, 1.8)).norm() < 1e-12);
        assert!((view(&above) + Vector3::z()).norm() < 1e-12);
        let far = moved(CameraChange {
            distance: Some(1.5),
            fovy: Some(-12.0),
            ..CameraChange::default()
        });
        assert!((Vector3::from(far.pos) - Vector3::new(1.5, 0.0, 0.8)).norm() < 1e-12);
        assert_eq!(far.fovy_deg, 33.0);
    }
}
