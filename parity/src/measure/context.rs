//! Inputs that every measurement shares, and its worker threads.

use crate::recorded_scenes::RecordedScenes;
use crate::reference::GraspEpisode;
use crate::{ParityConfig, ParityError, ParityProgress, Quantity, SUITES};
use bitvla_reports::ReportError;
use bitvla_sim::World;
use bitvla_tasks::in_parallel;
use std::path::{Path, PathBuf};

/// Index, name and recorded poses (xyz, q wxyz; per control step) of an object.
pub(crate) type RecordedObject<'e> = (usize, &'e str, &'e [[f64; 7]]);

/// Inputs of a measurement.
pub(crate) struct MeasureContext<'a> {
    pub config: &'a ParityConfig,
    /// Folder of the recorded runs.
    pub data: &'a Path,
    /// Folder of the recorded images.
    pub images: PathBuf,
    pub scenes: &'a RecordedScenes,
    pub progress: &'a (dyn Fn(&ParityProgress) + Sync),
}

impl MeasureContext<'_> {
    /// Measures the items of a quantity over the configured threads; results come in the order of the items.
    pub fn map<T: Sync, R: Send>(
        &self,
        quantity: Quantity,
        items: &[T],
        measure: impl Fn(&T) -> Result<R, ParityError> + Sync,
    ) -> Result<Vec<R>, ParityError> {
        let mut state = ParityProgress {
            quantity,
            done: 0,
            total: items.len(),
        };
        (self.progress)(&state);
        let indices: Vec<usize> = (0..items.len()).collect();
        let mut results = Vec::with_capacity(items.len());
        in_parallel(
            &indices,
            self.config.jobs,
            || Ok(()),
            |(), i| Ok((*i, measure(&items[*i])?)),
            |result| {
                results.push(result);
                state.done += 1;
                (self.progress)(&state);
                Ok::<_, ParityError>(())
            },
        )?;
        results.sort_by_key(|(i, _)| *i);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    /// Returns index, name and recorded poses of the objects that a recorded episode follows.
    pub fn recorded_objects<'e>(
        &self,
        world: &World,
        episode: &'e GraspEpisode,
    ) -> Result<Vec<RecordedObject<'e>>, ParityError> {
        let objects = episode.obj.iter().map(|(name, poses)| {
            let i = world.scene().instance(name).ok_or_else(|| {
                let text = format!("the scene of an episode has no object `{name}`");
                ReportError::format(&self.data.join("grasp.json"), text)
            })?;
            Ok((i, name.as_str(), poses.as_slice()))
        });
        objects.collect()
    }

    /// Returns true if a task is to be compared; one that lacks a model becomes a note.
    pub fn selects(
        &self,
        suite: &str,
        task: usize,
        quantity: Quantity,
        notes: &mut Vec<String>,
    ) -> Result<bool, ParityError> {
        let mut add = |note: String| {
            if !notes.contains(&note) {
                notes.push(note);
            }
        };
        if !SUITES.contains(&suite) {
            let known = SUITES.join(", ");
            add(format!(
                "{quantity}: records of suite `{suite}` are left out, known are {known}"
            ));
            return Ok(false);
        }
        if !self.config.suites.iter().any(|s| s == suite) {
            return Ok(false);
        }
        let missing = self.scenes.missing_models(suite, task)?;
        if missing.is_empty() {
            return Ok(true);
        }
        let names: Vec<String> = missing.into_iter().collect();
        add(format!(
            "{quantity}: {suite} {task} is left out, there is no model of {}",
            names.join(", ")
        ));
        Ok(false)
    }
}
