//! An episode in the world of its initial state.

use crate::free_camera::{FREE, Orbit};
use bitvla_perturbations::{EpisodeKey, ImageFilter, Perturbation};
use bitvla_sim::render::{CameraImage, Renderer};
use bitvla_sim::{Owner, SceneDesc, Snapshot, World};
use bitvla_tasks::predicates::CompiledGoal;
use bitvla_tasks::{Assets, SETTLE_ACTION, Suite};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which episode.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeSpec {
    /// Name of the suite.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Row of the initial state in the file of the task, which need not hold all of them.
    pub row: usize,
    /// Seed of the run, task and initial state that everything random is drawn for.
    #[serde(default)]
    pub key: [u64; 3],
    /// Change of the episode in words, as on a protocol card.
    #[serde(default)]
    pub perturbation: Vec<String>,
}

/// What stays the same in an episode.
#[derive(Debug, Serialize)]
struct Description<'a> {
    instruction: &'a str,
    horizon: usize,
    /// Predicates of the goal, in words.
    predicates: Vec<String>,
    /// Names of the objects and fixtures.
    instances: Vec<&'a str>,
}

/// What a page shows of an instant.
#[derive(Debug, Serialize)]
struct Moment {
    predicates: Vec<bool>,
    success: bool,
    /// Objects and fixtures that the robot touches, ascending.
    touched: Vec<usize>,
    /// Contact points with the robot in the image of the free camera: fractions of its sides, normal force in N.
    contacts: Vec<[f64; 3]>,
    /// Grip site, world frame, m.
    hand: [f64; 3],
    /// Distance between the fingers, m.
    opening: f64,
    event: bool,
}

/// An episode that is being replayed or driven.
pub struct Episode {
    world: World,
    goal: CompiledGoal,
    renderer: Renderer,
    /// The renderer is that of the scene after the event.
    after_event: bool,
    /// Names of the camera that looks at the table and of the one on the hand.
    cameras: [String; 2],
    filter: Option<ImageFilter>,
    orbit: Orbit,
    instruction: String,
    horizon: usize,
    predicates: Vec<String>,
    snapshots: Vec<Snapshot>,
}

impl Episode {
    /// Builds the world of an episode and lets it settle.
    ///
    /// # Errors
    /// Names what is missing or does not fit.
    pub fn open(assets: &Assets, spec: &EpisodeSpec) -> Result<Episode, String> {
        let mut suite = Suite::load(assets, &spec.suite).map_err(in_words)?;
        let perturbation = Perturbation::parse(&spec.perturbation).map_err(in_words)?;
        if spec.task < suite.tasks.len() {
            suite = (perturbation.change_goals(&suite, &[spec.task])).map_err(in_words)?;
        }
        let task = (suite.tasks.get(spec.task)).ok_or_else(|| {
            format!(
                "suite `{}` has {} tasks, found task {}",
                suite.name,
                suite.tasks.len(),
                spec.task
            )
        })?;
        let state = task.init_states.get(spec.row).ok_or_else(|| {
            format!(
                "{} initial states, found row {}",
                task.init_states.len(),
                spec.row
            )
        })?;
        let [seed, key_task, key_init] = spec.key;
        let key = EpisodeKey {
            seed,
            task: key_task as usize,
            init: key_init as usize,
        };
        let mut world = match perturbation.is_none() {
            true => task.world(assets, state).map_err(in_words)?,
            false => perturbation
                .world(assets, (task, state), key, suite.settle_steps)
                .map_err(in_words)?,
        };
        for _ in 0..suite.settle_steps {
            world.step(&SETTLE_ACTION).map_err(in_words)?;
        }
        let arena = &world.scene().arena;
        let camera_name = |on_robot: bool| {
            let camera = arena.camera(on_robot).map_err(in_words)?;
            Ok::<_, String>(camera.name.clone())
        };
        let orbit = Orbit {
            yaw: 0.6,
            pitch: 0.6,
            distance: 1.5,
            target: arena.workspace_offset,
        };
        Ok(Episode {
            goal: task.compile_goal(&world).map_err(in_words)?,
            renderer: renderer(world.scene(), &orbit)?,
            after_event: world.event_happened(),
            cameras: [camera_name(false)?, camera_name(true)?],
            filter: perturbation.image_filter(key),
            orbit,
            instruction: task.words().to_owned(),
            horizon: suite.horizon,
            predicates: (task.goal().predicates.iter())
                .map(ToString::to_string)
                .collect(),
            snapshots: Vec::new(),
            world,
        })
    }

    /// Instruction, horizon, predicates and instances as JSON.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn description(&self) -> Result<String, String> {
        let instances = &self.world.scene().instances;
        let description = Description {
            instruction: &self.instruction,
            horizon: self.horizon,
            predicates: self.predicates.clone(),
            instances: instances.iter().map(|i| i.name.as_str()).collect(),
        };
        serde_json::to_string(&description).map_err(in_words)
    }

    /// Steps the world by an action of the policy; true if the goal holds now.
    ///
    /// # Errors
    /// If the world refuses the action.
    pub fn step(&mut self, action: &[f64; 7]) -> Result<bool, String> {
        self.world.step(action).map_err(in_words)?;
        Ok(self.goal.holds(&self.world))
    }

    /// Hash of the state.
    pub fn state_hash(&self) -> u64 {
        self.world.state_hash()
    }

    /// Predicates, contacts and hand of this instant as JSON; contacts in an image of the free camera of a shape.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn moment(&self, aspect: f64) -> Result<String, String> {
        let predicates = self.goal.truth(&self.world);
        let mut touched = Vec::new();
        let mut contacts = Vec::new();
        for contact in self.world.contacts() {
            let other = match contact.owners {
                [Owner::Robot, other] | [other, Owner::Robot] => other,
                _ => continue,
            };
            if let Owner::Instance(instance) = other {
                touched.push(instance);
            }
            if let Some([x, y]) = self.orbit.project(contact.point, aspect) {
                contacts.push([x, y, contact.force]);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let robot = self.world.observation();
        let [left, right] = robot.gripper_qpos;
        let moment = Moment {
            success: self.goal.holds_given(&predicates),
            predicates,
            touched,
            contacts,
            hand: robot.eef_pos,
            opening: left - right,
            event: self.world.event_happened(),
        };
        serde_json::to_string(&moment).map_err(in_words)
    }

    /// Puts the free camera elsewhere.
    ///
    /// # Errors
    /// If the renderer has no such camera.
    pub fn look_from(&mut self, orbit: Orbit) -> Result<(), String> {
        self.orbit = orbit;
        self.renderer.set_camera(&orbit.camera()).map_err(in_words)
    }

    /// The image of the free camera.
    ///
    /// # Errors
    /// If the renderer refuses its size.
    pub fn free_image(&mut self, width: usize, height: usize) -> Result<CameraImage, String> {
        self.follow_event()?;
        let state = self.world.visual_state();
        (self.renderer.render(&state, FREE, width, height)).map_err(in_words)
    }

    /// The two images of a policy's query at a control step, of `side` pixels a side, mirrored if asked: table, hand. A filter of the images that
    /// remembers the first ones takes the queries in order.
    ///
    /// # Errors
    /// If the renderer refuses their size.
    pub fn policy_images(
        &mut self,
        (step, side, mirrored): (usize, usize, bool),
    ) -> Result<[CameraImage; 2], String> {
        self.follow_event()?;
        let state = self.world.visual_state();
        let [table, hand] = &self.cameras;
        let renderer = &mut self.renderer;
        let mut image = |camera: &str| -> Result<CameraImage, String> {
            let image = renderer
                .render(&state, camera, side, side)
                .map_err(in_words)?;
            Ok(match mirrored {
                true => image.flipped_lr(),
                false => image,
            })
        };
        let mut images: [CameraImage; 2] = [image(table)?, image(hand)?];
        if let Some(filter) = &mut self.filter {
            let [table, hand] = &mut images;
            let moment = (step, self.world.event_happened());
            filter.apply(moment, (&mut table.rgb, &mut hand.rgb), side);
        }
        Ok(images)
    }

    /// Keeps this instant; its number.
    pub fn keep(&mut self) -> usize {
        self.snapshots.push(self.world.snapshot());
        self.snapshots.len() - 1
    }

    /// Returns to an instant that was kept.
    ///
    /// # Errors
    /// If there is none of that number.
    pub fn return_to(&mut self, number: usize) -> Result<(), String> {
        let kept = self.snapshots.get(number);
        let snapshot = kept.ok_or_else(|| format!("no instant {number} was kept"))?;
        self.world.restore(snapshot);
        Ok(())
    }

    /// Draws the scene after the event once it has happened, and that before it again where an earlier instant was returned to.
    fn follow_event(&mut self) -> Result<(), String> {
        let happened = self.world.event_happened();
        if happened != self.after_event {
            self.renderer = renderer(self.world.scene(), &self.orbit)?;
            self.after_event = happened;
        }
        Ok(())
    }
}

/// Renderer of a scene with a free camera in it.
fn renderer(scene: &SceneDesc, orbit: &Orbit) -> Result<Renderer, String> {
    let mut arena = (*scene.arena).clone();
    arena.cameras.push(orbit.camera());
    let scene = SceneDesc {
        arena: Arc::new(arena),
        ..scene.clone()
    };
    Renderer::new(&scene).map_err(in_words)
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
