//! The perturbation as a whole: parsed, checked, written, and composed into an episode.

use crate::{
    ActionFilter, BackgroundChange, CameraChange, EpisodeKey, EventChange, EventKind, GoalChange,
    ImageFilter, ImageNoise, InstructionChange, LayoutChange, LightChange, ObjectChange, PRO_CASES,
    PerturbationError, PhysicsChange, PostureChange, SensorFault, background, camera, layout,
    light, noise, pro_case, robot,
};
use bitvla_sim::{SceneDesc, World};
use bitvla_tasks::{Assets, InitState, SETTLE_ACTION, Suite, Task, TaskError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// Names of the axes in the order in which they are composed.
pub const AXES: [&str; 12] = [
    "goal",
    "language",
    "layout",
    "object",
    "robot",
    "physics",
    "background",
    "light",
    "camera",
    "noise",
    "sensors",
    "event",
];
/// Number of levels of an axis with levels.
pub const LEVELS: u8 = 5;
/// Levels of noise in a level of its axis: noise has the ten of LIBERO-plus.
const NOISE_LEVELS: u8 = 2;
/// Axes with levels.
pub const LEVELLED: [&str; 7] = [
    "language",
    "layout",
    "robot",
    "background",
    "light",
    "camera",
    "noise",
];

/// What is changed in every episode. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Perturbation {
    /// What the task asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<GoalChange>,
    /// Words of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<InstructionChange>,
    /// Places of objects, extra objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<LayoutChange>,
    /// Look and size of the object that the task is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectChange>,
    /// Posture of the arm at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<PostureChange>,
    /// Bodies and commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physics: Option<PhysicsChange>,
    /// Colours of the surroundings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<BackgroundChange>,
    /// Lights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light: Option<LightChange>,
    /// Place of the camera that looks at the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraChange>,
    /// Image noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<ImageNoise>,
    /// Sensors that fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensors: Option<SensorFault>,
    /// What happens in mid-episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventChange>,
}

/// Beginning of the names of [`swept_axes`] that are events.
const EVENT_AXIS: &str = "event-";
/// Beginning of the names of [`swept_axes`] that are cases of LIBERO-PRO.
const PRO_AXIS: &str = "pro-";
/// Number of draws of an event.
const DRAWS: u8 = 2;

/// Axes of a sweep: those with levels, the events (`event-light`) and the cases of LIBERO-PRO (`pro-swap`).
pub fn swept_axes() -> Vec<String> {
    let levelled = LEVELLED.iter().map(|axis| (*axis).to_owned());
    let events = EventKind::ALL
        .iter()
        .map(|kind| format!("{EVENT_AXIS}{}", kind.name()));
    let cases = PRO_CASES
        .iter()
        .map(|case| format!("{PRO_AXIS}{}", case.name));
    levelled.chain(events).chain(cases).collect()
}

/// The event of an axis of [`swept_axes`].
fn event_of(axis: &str) -> Option<EventKind> {
    let name = axis.strip_prefix(EVENT_AXIS)?;
    EventKind::ALL.into_iter().find(|kind| kind.name() == name)
}

impl Perturbation {
    /// Parses words of the form `AXIS:KEY=VALUE,KEY=VALUE`, one axis each; values are those of TOML, and anything else is text.
    ///
    /// # Errors
    /// Names the words, what was found and what was expected.
    pub fn parse(words: &[impl AsRef<str>]) -> Result<Perturbation, PerturbationError> {
        let mut table = toml::Table::new();
        for word in words.iter().map(AsRef::as_ref) {
            let error = |what: String| PerturbationError::Words {
                words: word.to_owned(),
                what,
            };
            let (axis, fields) = word.split_once(':').ok_or_else(|| {
                error(format!(
                    "expected AXIS:KEY=VALUE; axes: {}",
                    AXES.join(", ")
                ))
            })?;
            let mut values = toml::Table::new();
            for field in split_fields(fields) {
                let (key, value) = field
                    .split_once('=')
                    .ok_or_else(|| error(format!("found `{field}`, expected KEY=VALUE")))?;
                let parsed = value_of(value.trim());
                if values.insert(key.trim().to_owned(), parsed).is_some() {
                    return Err(error(format!("found `{key}` twice")));
                }
            }
            if table
                .insert(axis.to_owned(), toml::Value::Table(values))
                .is_some()
            {
                return Err(error(format!("found axis `{axis}` twice")));
            }
            // Checked one by one, so that the error is about this word.
            let alone = toml::Table::from_iter([(axis.to_owned(), table[axis].clone())]);
            let parsed: Perturbation = alone
                .try_into()
                .map_err(|e: toml::de::Error| error(e.message().to_owned()))?;
            parsed.check().map_err(error)?;
        }
        let all: Perturbation =
            table
                .try_into()
                .map_err(|e: toml::de::Error| PerturbationError::Words {
                    words: words
                        .iter()
                        .map(AsRef::as_ref)
                        .collect::<Vec<_>>()
                        .join(" "),
                    what: e.message().to_owned(),
                })?;
        Ok(all)
    }

    /// Reads a TOML file with a table per axis.
    ///
    /// # Errors
    /// Names the file, line and column, what was found and what was expected.
    pub fn read(path: &Path) -> Result<Perturbation, PerturbationError> {
        let error = |what: String| PerturbationError::File {
            path: path.to_owned(),
            what,
        };
        let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        let parsed: Perturbation = toml::from_str(&text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].matches('\n').count() + 1;
            error(format!("line {line}: {}", e.message()))
        })?;
        parsed.check().map_err(error)?;
        Ok(parsed)
    }

    /// Number of levels of an axis of a sweep: five, two for an event, one for a case of LIBERO-PRO; 0 for what is none.
    pub fn levels_of(axis: &str) -> u8 {
        if LEVELLED.contains(&axis) {
            LEVELS
        } else if event_of(axis).is_some() {
            DRAWS
        } else {
            u8::from(
                axis.strip_prefix(PRO_AXIS)
                    .is_some_and(|name| pro_case(name).is_ok()),
            )
        }
    }

    /// The perturbation of one axis of a sweep at a level of strength, from 1 on.
    ///
    /// # Errors
    /// If the axis has no levels or there is no such level.
    pub fn at_level(axis: &str, level: u8) -> Result<Perturbation, PerturbationError> {
        let error = |what: String| PerturbationError::Words {
            words: format!("{axis}:level={level}"),
            what,
        };
        let levels = Perturbation::levels_of(axis);
        if levels == 0 {
            return Err(error(format!(
                "found axis `{axis}`, expected one with levels: {}",
                swept_axes().join(", ")
            )));
        }
        if !(1..=levels).contains(&level) {
            return Err(error(format!(
                "level: found {level}, expected 1 to {levels}"
            )));
        }
        if let Some(kind) = event_of(axis) {
            let words = format!("event:kind={},draw={}", kind.name(), level - 1);
            return Perturbation::parse(&[words]);
        }
        if let Some(Ok(case)) = axis.strip_prefix(PRO_AXIS).map(pro_case) {
            return Perturbation::parse(case.words);
        }
        // Noise has the ten levels of LIBERO-plus.
        let own = if axis == "noise" {
            level.saturating_mul(NOISE_LEVELS)
        } else {
            level
        };
        Perturbation::parse(&[format!("{axis}:level={own}")])
    }

    /// Strength of a level of an axis in words with its unit; empty for an axis without levels.
    pub fn strength(axis: &str, level: u8) -> String {
        if let Some(kind) = event_of(axis) {
            return EventChange::strength(kind, level.saturating_sub(1));
        }
        if let Some(Ok(case)) = axis.strip_prefix(PRO_AXIS).map(pro_case) {
            return case.words.join(" ");
        }
        let times = |of_level: f64| of_level * f64::from(level);
        match axis {
            "language" => format!("rules 1 to {level}"),
            "layout" => format!(
                "up to {:.0} cm",
                100.0 * times(layout::DISPLACEMENT_OF_LEVEL)
            ),
            "robot" => format!("{:.1} rad", times(robot::RADIUS_OF_LEVEL)),
            "background" => format!("{:.0} % paint", 100.0 * times(background::SHARE_OF_LEVEL)),
            "light" => format!(
                "{:.0} % darker, {:.0} degrees",
                100.0 * times(light::DIMMING_OF_LEVEL),
                times(light::AZIMUTH_OF_LEVEL)
            ),
            "camera" => format!("{:.0} degrees", times(camera::YAW_OF_LEVEL)),
            "noise" => format!("level {} of {}", NOISE_LEVELS * level, noise::LEVELS),
            _ => String::new(),
        }
    }

    /// True if it changes what can be reached at all, not only what is seen or said.
    pub fn changes_the_task(&self) -> bool {
        let moves = |event: EventChange| {
            use EventKind::{Camera, Light, Sensor, Theme};
            !matches!(event.kind, Light | Camera | Theme | Sensor)
        };
        self.goal.is_some()
            || self.layout.is_some()
            || self.object.is_some_and(|object| object.changes_size())
            || self.robot.is_some()
            || self.physics.is_some()
            || self.event.is_some_and(moves)
    }

    /// The words that [`Perturbation::parse`] reads back, one text per axis.
    pub fn words(&self) -> Vec<String> {
        // A struct of numbers and text is a table.
        let table = toml::Table::try_from(self).unwrap_or_default();
        let axes = AXES.iter().filter_map(|axis| {
            let fields = table.get(*axis)?.as_table()?;
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(key, v)| format!("{key}={}", text_of(v)))
                .collect();
            Some(format!("{axis}:{}", fields.join(",")))
        });
        axes.collect()
    }

    /// True if nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == Perturbation::default()
    }

    /// Checks every axis; axis, field, found and expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        let levels = [
            (
                "language",
                self.language.as_ref().and_then(|c| c.level),
                LEVELS,
            ),
            ("layout", self.layout.and_then(|c| c.level), LEVELS),
            ("robot", self.robot.and_then(|c| c.level), LEVELS),
            ("background", self.background.and_then(|c| c.level), LEVELS),
            ("light", self.light.and_then(|c| c.level), LEVELS),
            ("camera", self.camera.and_then(|c| c.level), LEVELS),
            ("noise", self.noise.map(|c| c.level), noise::LEVELS),
        ];
        for (axis, level, most) in levels {
            if let Some(level) = level.filter(|level| !(1..=most).contains(level)) {
                return Err(format!(
                    "{axis}: level: found {level}, expected 1 to {most}"
                ));
            }
        }
        let of = |axis: &'static str| move |what: String| format!("{axis}: {what}");
        let checked = [
            self.language
                .as_ref()
                .map(|c| c.check().map_err(of("language"))),
            self.layout.map(|c| c.check().map_err(of("layout"))),
            self.object.map(|c| c.check().map_err(of("object"))),
            self.robot.map(|c| c.check().map_err(of("robot"))),
            self.physics.map(|c| c.check().map_err(of("physics"))),
            self.background.map(|c| c.check().map_err(of("background"))),
            self.light.map(|c| c.check().map_err(of("light"))),
            self.camera.map(|c| c.check().map_err(of("camera"))),
            self.sensors.map(|c| c.check().map_err(of("sensors"))),
            self.event.map(|c| c.check().map_err(of("event"))),
        ];
        checked.into_iter().flatten().collect()
    }

    /// The words of an episode.
    ///
    /// # Errors
    /// If the perturbation asks for the words of a task that the suite lacks.
    pub fn instruction<'a>(
        &self,
        suite: &'a Suite,
        task: &'a Task,
        key: EpisodeKey,
    ) -> Result<Cow<'a, str>, PerturbationError> {
        let Some(change) = &self.language else {
            return Ok(Cow::Borrowed(task.words()));
        };
        let instructions: Vec<&str> = suite.tasks.iter().map(Task::words).collect();
        let words = change.apply(&instructions, key);
        let words = words.map_err(|what| PerturbationError::Task {
            task: task.id,
            what,
        })?;
        Ok(Cow::Owned(words))
    }

    /// The suite with the goals that its tasks have under the perturbation.
    ///
    /// # Errors
    /// If one of `tasks` has no other goal.
    pub fn change_goals(&self, suite: &Suite, tasks: &[usize]) -> Result<Suite, PerturbationError> {
        let mut changed = suite.clone();
        let Some(change) = self.goal else {
            return Ok(changed);
        };
        for task in &mut changed.tasks {
            match change.apply(suite, task) {
                Ok(other) => *task = other,
                Err(what) if tasks.contains(&task.id) => {
                    return Err(PerturbationError::Task {
                        task: task.id,
                        what,
                    });
                }
                Err(_) => {}
            }
        }
        Ok(changed)
    }

    /// The world of an episode, not settled. `task` has the goal of [`Perturbation::change_goals`]; an event counts the control steps after `settle_steps`.
    ///
    /// # Errors
    /// If the perturbation does not fit the task, or a model cannot be read or simulated.
    pub fn world(
        &self,
        assets: &Assets,
        (task, state): (&Task, &InitState),
        key: EpisodeKey,
        settle_steps: usize,
    ) -> Result<World, PerturbationError> {
        let (task, state) = self.start(assets, (task, state), key)?;
        let mut scene = self.scene(assets, (&task, &state), key)?;
        let event = self.event.map(|change| {
            let settle_steps = u32::try_from(settle_steps).unwrap_or(u32::MAX);
            change.prepare(assets, (&task, &state, &mut scene), key, settle_steps)
        });
        let event = event.transpose()?;
        let mut world = task.world_of_scene(&scene, &state)?;
        if let Some(event) = event {
            world.set_event(event).map_err(TaskError::from)?;
        }
        Ok(world)
    }

    /// The task with its extra objects and the initial state of an episode: layout, posture.
    ///
    /// # Errors
    /// If there is no room for an extra object, nothing that can be moved, or a model cannot be read.
    pub fn start(
        &self,
        assets: &Assets,
        (task, state): (&Task, &InitState),
        key: EpisodeKey,
    ) -> Result<(Task, InitState), PerturbationError> {
        let (mut task, mut state) = (task.clone(), state.clone());
        if let Some(change) = self.layout {
            change.apply(assets, &mut task, &mut state, key)?;
        }
        if let Some(change) = self.robot {
            change.apply(&mut state, key);
        }
        Ok((task, state))
    }

    /// The scene of an episode, from the task and the state of [`Perturbation::start`]: object, physics of bodies, occluder, background, light, camera.
    ///
    /// # Errors
    /// If the task is about nothing that can be changed, or a model cannot be read.
    pub fn scene(
        &self,
        assets: &Assets,
        (task, state): (&Task, &InitState),
        key: EpisodeKey,
    ) -> Result<SceneDesc, PerturbationError> {
        let mut described = task.scene(assets, state)?;
        let scene = &mut described;
        if let Some(change) = self.object {
            change.apply(task, scene)?;
        }
        if let Some(change) = self.physics {
            change.apply(scene, key);
        }
        // What is added does not rub or weigh otherwise.
        if let Some(change) = self.layout {
            change.apply_to_scene(assets, task, scene)?;
        }
        if let Some(change) = self.background {
            change.change_environment(assets, scene)?;
            change.apply(scene, key);
        }
        if let Some(change) = self.light {
            change.apply(scene, key);
        }
        if let Some(change) = self.camera {
            change.apply(scene, key);
        }
        Ok(described)
    }

    /// The filter of the observations of an episode; `None` if they stay as they are.
    pub fn image_filter(&self, key: EpisodeKey) -> Option<ImageFilter> {
        let after_event = self.event.and_then(|event| event.sensor_fault());
        ImageFilter::new(self.noise, self.sensors, after_event, key)
    }

    /// The filter of the commands of an episode; `None` if they stay as they are.
    pub fn action_filter(&self, key: EpisodeKey) -> Option<ActionFilter> {
        ActionFilter::new(&self.physics?, key, SETTLE_ACTION)
    }
}

/// Splits at commas outside of brackets and quotes.
fn split_fields(text: &str) -> Vec<&str> {
    let (mut fields, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0i32, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                fields.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&text[start..]);
    fields
}

/// A value of TOML, or the text itself. Whole numbers are numbers with a fraction where a field wants one.
fn value_of(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

impl fmt::Display for Perturbation {
    /// The words, separated by spaces; empty if nothing is changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

/// A value as [`value_of`] reads it back: text without quotes where it is plain.
fn text_of(value: &toml::Value) -> String {
    let plain = |c: char| c.is_ascii_alphabetic() || c == '-' || c == '_';
    match value {
        toml::Value::String(text)
            if !text.is_empty()
                && text.chars().all(plain)
                && value_of(text).as_str() == Some(text) =>
        {
            text.clone()
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: words and files are read back as they were written; what is wrong is named.
    use super::*;

    #[test]
    fn words_are_read_back_as_they_were_written() {
        for words in [
            &["camera:yaw=30,pitch=15.5"][..],
            &["camera:offset=[0.06, 0, 0.02],fovy=12"],
            &["layout:level=3,distractors=2", "light:draw=17"],
            &["physics:mass=[0.5, 2],delay=2", "noise:level=4"],
            &[
                "language:text=\"stack the bowl, please\"",
                "sensors:blackout=both",
            ],
            &["language:text=\"\""],
            &[
                "robot:variant=312",
                "background:level=2,surfaces=table-wall",
            ],
        ] {
            let parsed = Perturbation::parse(words).expect(words[0]);
            let again = Perturbation::parse(&parsed.words()).expect(words[0]);
            assert_eq!(again, parsed);
            let toml = toml::to_string(&parsed).expect("TOML");
            assert_eq!(
                toml::from_str::<Perturbation>(&toml).expect("parsed"),
                parsed
            );
        }
        assert!(Perturbation::parse(&[""; 0]).expect("none").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, found) in [
            ("camera", "AXIS:KEY=VALUE"),
            ("camra:yaw=30", "unknown field `camra`"),
            ("camera:jaw=30", "unknown field `jaw`"),
            ("camera:yaw", "expected KEY=VALUE"),
            ("camera:yaw=far", "expected f64"),
            (
                "camera:yaw=300",
                "yaw: found 300, expected -180 to 180 degrees",
            ),
            ("camera:yaw=30,yaw=40", "twice"),
            ("camera:distance=0", "distance: found 0"),
            ("robot:level=6", "level: found 6, expected 1 to 5"),
            ("robot:variant=501", "variant: found 501, expected 1 to 500"),
            ("noise:level=11", "level: found 11, expected 1 to 10"),
            ("noise:kind=snow,level=1", "unknown variant `snow`"),
            ("layout:distractors=6", "distractors: found 6"),
            ("light:draw=1024", "draw: found 1024, expected 0 to 1023"),
            ("physics:mass=0", "mass: found 0"),
            ("physics:mass=[2.0, 1.0]", "mass: found [2, 1]"),
            ("background:level=1,draw=2", "either level or draw"),
            (
                "language:level=1,text=hello",
                "found 2 of level, text and task",
            ),
            ("sensors:blackout=left", "unknown variant `left`"),
        ] {
            let error = Perturbation::parse(&[words]).expect_err(words).to_string();
            assert!(error.contains(found) && error.contains(words), "{error}");
        }
        let twice = Perturbation::parse(&["camera:yaw=1.0", "camera:yaw=2.0"]);
        assert!(
            twice
                .expect_err("twice")
                .to_string()
                .contains("axis `camera` twice")
        );
    }

    #[test]
    fn every_axis_with_levels_has_five() {
        for axis in LEVELLED {
            for level in 1..=LEVELS {
                Perturbation::at_level(axis, level).expect(axis);
            }
            assert!(!Perturbation::strength(axis, 3).is_empty());
            for level in [0, 6] {
                assert!(Perturbation::at_level(axis, level).is_err());
            }
        }
        assert!(Perturbation::at_level("physics", 1).is_err());
        assert_eq!(Perturbation::strength("layout", 5), "up to 15 cm");
        assert_eq!(Perturbation::strength("robot", 3), "0.3 rad");
        assert_eq!(
            Perturbation::strength("light", 3),
            "51 % darker, 36 degrees"
        );
    }
}
