//! Names of tasks of LIBERO-plus, whose endings say what is perturbed:
//!
//! | ending | meaning |
//! |---|---|
//! | `_view_H_V_S_R_E_initstate_K` | camera: yaw, pitch, distance in percent, roll, tilt (degrees); posture variant K, 0 for none |
//! | `..._noise_N` | image noise: families of ten levels, motion, Gaussian, zoom, fog, glass |
//! | `_language_L` before it | words number L of the task |
//! | `_add_A` | `A / 6`, rounded up, extra objects |
//! | `_levelL_sampleS` | objects moved by up to 3 cm per level |
//! | `_light_N` | light number N |
//! | `_table_N`, `_tb_N` | another table; another table and wall |
//!
//! Camera, posture and noise are LIBERO-plus's own to the number. Its words, lights, textures, extra objects and displacements are stored in its files;
//! here the same number gives a variant of this program.

use crate::{
    BackgroundChange, CameraChange, ImageNoise, InstructionChange, LayoutChange, LightChange,
    NoiseKind, Perturbation, PostureChange, Surfaces,
};

/// Levels of words and light, for the numbers of LIBERO-plus.
const LEVELS: u32 = 5;
/// Extra objects that share a number: `_add_1` to `_add_6` have one.
const NAMES_PER_OBJECT: u32 = 6;

/// A name of LIBERO-plus.
#[derive(Debug, Clone, PartialEq)]
pub struct PlusName {
    /// The task without the ending.
    pub task: String,
    /// What the ending says.
    pub perturbation: Perturbation,
}

impl PlusName {
    /// Parses a name, with or without the task before the ending.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn parse(name: &str) -> Result<PlusName, String> {
        let mut perturbation = Perturbation::default();
        let padded = format!("_{name}");
        let task = match padded.rsplit_once("_view_") {
            Some((before, view)) => {
                parse_view(view, &mut perturbation)?;
                match before.rsplit_once("_language_") {
                    Some((task, number)) => {
                        perturbation.language = Some(words(numbered(number, "language")?));
                        task.to_owned()
                    }
                    None => before.to_owned(),
                }
            }
            None => parse_ending(&padded, &mut perturbation)?,
        };
        perturbation.check()?;
        Ok(PlusName {
            task: task.trim_start_matches('_').to_owned(),
            perturbation,
        })
    }
}

/// Number of a variant, at least 1.
fn numbered(text: &str, what: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|n| *n >= 1);
    number.ok_or_else(|| format!("{what}: found `{text}`, expected a number from 1 on"))
}

/// Words of this program for a number of LIBERO-plus.
fn words(number: u32) -> InstructionChange {
    InstructionChange {
        level: Some(((number - 1) % LEVELS + 1) as u8),
        ..InstructionChange::default()
    }
}

/// `H_V_S_R_E_initstate_K`, and `_noise_N` behind it.
fn parse_view(text: &str, perturbation: &mut Perturbation) -> Result<(), String> {
    let (view, noise) = match text.split_once("_noise_") {
        Some((view, number)) => (view, Some(numbered(number, "noise")?)),
        None => (text, None),
    };
    let (view, posture) = view
        .split_once("_initstate_")
        .ok_or_else(|| format!("view: found `{view}`, expected H_V_S_R_E_initstate_K"))?;
    let numbers: Result<Vec<f64>, _> = view.split('_').map(str::parse).collect();
    let numbers = numbers.ok().and_then(|n| <[f64; 5]>::try_from(n).ok());
    let [yaw, pitch, percent, roll, tilt] =
        numbers.ok_or_else(|| format!("view: found `{view}`, expected five numbers"))?;
    // Some names have 352 for -8.
    let angle =
        |degrees: f64| Some((degrees + 180.0).rem_euclid(360.0) - 180.0).filter(|v| *v != 0.0);
    let camera = CameraChange {
        yaw: angle(yaw),
        pitch: angle(pitch),
        distance: Some(percent / 100.0).filter(|v| *v != 1.0),
        roll: angle(roll),
        tilt: angle(tilt),
        ..CameraChange::default()
    };
    perturbation.camera = Some(camera).filter(|camera| *camera != CameraChange::default());
    if posture != "0" {
        let change = PostureChange {
            level: None,
            variant: Some(u16::try_from(numbered(posture, "initstate")?).unwrap_or(u16::MAX)),
        };
        perturbation.robot = Some(change);
    }
    if let Some(number) = noise {
        let kind = NoiseKind::ALL.get((number as usize - 1) / 10);
        perturbation.noise = Some(ImageNoise {
            kind: Some(*kind.ok_or_else(|| format!("noise: found {number}, expected 1 to 50"))?),
            level: ((number - 1) % 10 + 1) as u8,
            cameras: Default::default(),
        });
    }
    Ok(())
}

/// An ending of one number, or of a level and a sample; returns what is before it.
fn parse_ending(name: &str, perturbation: &mut Perturbation) -> Result<String, String> {
    let unknown = || {
        format!(
            "found `{}`, expected an ending of LIBERO-plus: _view_H_V_S_R_E_initstate_K, _language_L, _add_A, _levelL_sampleS, _light_N, _table_N or _tb_N",
            name.trim_start_matches('_')
        )
    };
    let (before, number) = name.rsplit_once('_').ok_or_else(unknown)?;
    if let Some(sample) = number.strip_prefix("sample") {
        let (task, level) = before.rsplit_once("_level").ok_or_else(unknown)?;
        let (level, sample) = (numbered(level, "level")?, numbered(sample, "sample")?);
        let change = LayoutChange {
            level: Some(u8::try_from(level).unwrap_or(u8::MAX)),
            sample: Some(u8::try_from(sample).unwrap_or(u8::MAX)),
            ..LayoutChange::default()
        };
        perturbation.layout = Some(change);
        return Ok(task.to_owned());
    }
    let (task, axis) = before.rsplit_once('_').ok_or_else(unknown)?;
    if !["language", "add", "light", "table", "tb"].contains(&axis) {
        return Err(unknown());
    }
    let number = numbered(number, axis)?;
    match axis {
        "language" => perturbation.language = Some(words(number)),
        "add" => {
            let change = LayoutChange {
                distractors: Some(
                    u8::try_from(number.div_ceil(NAMES_PER_OBJECT)).unwrap_or(u8::MAX),
                ),
                ..LayoutChange::default()
            };
            perturbation.layout = Some(change);
        }
        "light" => {
            let change = LightChange {
                draw: Some(u16::try_from(number).unwrap_or(u16::MAX)),
                ..LightChange::default()
            };
            perturbation.light = Some(change);
        }
        _ => {
            perturbation.background = Some(BackgroundChange {
                level: None,
                draw: Some(u16::try_from(number).unwrap_or(u16::MAX)),
                environment: None,
                surfaces: match axis {
                    "table" => Surfaces::Table,
                    _ => Surfaces::TableWall,
                },
            });
        }
    }
    Ok(task.to_owned())
}

#[cfg(test)]
mod tests {
    //! Guarantee: endings mean what LIBERO-plus means by them; others are refused.
    use super::*;

    #[test]
    fn endings_mean_what_they_say() {
        for (ending, words) in [
            (
                "view_0_0_100_0_0_initstate_0_noise_13",
                "noise:kind=gaussian,level=3",
            ),
            (
                "view_-45_15_100_0_0_initstate_0",
                "camera:pitch=15.0,yaw=-45.0",
            ),
            (
                "view_0_0_150_-4_6_initstate_0",
                "camera:distance=1.5,roll=-4.0,tilt=6.0",
            ),
            (
                "view_0_0_100_2_352_initstate_0",
                "camera:roll=2.0,tilt=-8.0",
            ),
            ("view_0_0_100_0_0_initstate_312", "robot:variant=312"),
            (
                "language_3_view_0_0_100_0_0_initstate_0",
                "language:level=3",
            ),
            ("language_7", "language:level=2"),
            ("add_13", "layout:distractors=3"),
            ("level4_sample2", "layout:level=4,sample=2"),
            ("light_1000", "light:draw=1000"),
            ("table_8", "background:draw=8,surfaces=table"),
            ("tb_12", "background:draw=12,surfaces=table-wall"),
        ] {
            let name = format!("put_the_bowl_on_the_table_{ending}");
            let parsed = PlusName::parse(&name).expect(ending);
            assert_eq!(parsed.task, "put_the_bowl_on_the_table");
            let mut found: Vec<char> = parsed.perturbation.to_string().chars().collect();
            let mut wanted: Vec<char> = words.chars().collect();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{}", parsed.perturbation);
            let alone = PlusName::parse(ending).expect(ending);
            assert_eq!(
                (alone.task.as_str(), alone.perturbation),
                ("", parsed.perturbation)
            );
        }
    }

    #[test]
    fn other_endings_are_refused() {
        for (name, words) in [
            ("put_the_bowl_on_the_table", "an ending of LIBERO-plus"),
            ("a_view_0_0_100_initstate_1", "five numbers"),
            ("a_view_0_0_100_0_0", "initstate"),
            ("a_view_0_0_100_0_0_initstate_501", "expected 1 to 500"),
            ("a_view_0_0_100_0_0_initstate_65537", "expected 1 to 500"),
            ("a_view_0_95_100_0_0_initstate_0", "pitch: found 95"),
            (
                "a_view_0_0_100_0_0_initstate_1_noise_51",
                "expected 1 to 50",
            ),
            ("a_light_0", "from 1 on"),
            ("a_add_31", "distractors: found 6"),
        ] {
            let error = PlusName::parse(name).expect_err(name);
            assert!(error.contains(words), "{error}");
        }
    }
}
