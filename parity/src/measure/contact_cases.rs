//! Cases of contacts: `parity/data/contacts.json`, which is part of the program. SI units; a pose is `[x, y, z, w, x, y, z]`.

use crate::ParityError;
use bitvla_reports::ReportError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the file in messages.
pub(crate) const CASES: &str = "parity/data/contacts.json";
const TEXT: &str = include_str!("../../data/contacts.json");

#[derive(Deserialize)]
struct CasesFile {
    cases: Vec<Case>,
}

/// Kind of contact, `finding` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum CaseKind {
    /// Bowl that is dropped on the ramekin.
    #[serde(rename = "bowl on the ramekin")]
    Ramekin,
    /// Bowl that overlaps the edge of the plate in the initial state.
    #[serde(rename = "edge of the plate")]
    Plate,
    /// Bowl that is dropped on the burner.
    #[serde(rename = "bowl on the stove")]
    Stove,
    /// Wall of the bowl between the pads of the gripper.
    #[serde(rename = "rim pinch")]
    Pinch,
    /// Hand at the handles of the drawers.
    #[serde(rename = "drawer handle")]
    Drawer,
}

impl CaseKind {
    /// Returns the name in the file and in reports.
    pub fn name(self) -> &'static str {
        match self {
            CaseKind::Ramekin => "bowl on the ramekin",
            CaseKind::Plate => "edge of the plate",
            CaseKind::Stove => "bowl on the stove",
            CaseKind::Pinch => "rim pinch",
            CaseKind::Drawer => "drawer handle",
        }
    }
}

/// A recorded case.
#[derive(Deserialize)]
pub(crate) struct Case {
    #[serde(rename = "finding")]
    pub kind: CaseKind,
    pub suite: String,
    pub task: usize,
    pub init: usize,
    /// Steps of which there is a reading; 1 is the first, settling included.
    pub steps: Vec<usize>,
    /// World poses of the fixtures.
    pub fixtures: BTreeMap<String, [f64; 7]>,
    pub actions: Actions,
    pub mujoco: Vec<Reading>,
}

/// Actions after settling.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Actions {
    Only(Settling),
    List(Vec<[f64; 7]>),
}

/// The word for no actions after settling.
#[derive(Deserialize)]
pub(crate) enum Settling {
    #[serde(rename = "settle")]
    Settle,
}

impl Actions {
    /// Returns the actions after settling.
    pub fn list(&self) -> &[[f64; 7]] {
        match self {
            Actions::Only(Settling::Settle) => &[],
            Actions::List(actions) => actions,
        }
    }
}

/// State of MuJoCo after a step.
#[derive(Deserialize)]
pub(crate) struct Reading {
    pub step: usize,
    pub objects: BTreeMap<String, [f64; 7]>,
    /// By `INSTANCE_JOINT`.
    pub joints: BTreeMap<String, f64>,
    pub fingers: [f64; 2],
    pub grip_site: [f64; 3],
}

/// Reads the cases.
///
/// # Errors
/// If a case lacks a reading of one of its steps, or the file is malformed.
pub(crate) fn read_cases() -> Result<Vec<Case>, ParityError> {
    let path = Path::new(CASES);
    let file: CasesFile = serde_json::from_str(TEXT).map_err(|e| ReportError::format(path, e))?;
    for case in &file.cases {
        let found: Vec<usize> = case.mujoco.iter().map(|r| r.step).collect();
        if found != case.steps {
            let what = format!(
                "{} task {}, initial state {}: found readings of steps {found:?}, expected {:?}",
                case.suite, case.task, case.init, case.steps
            );
            return Err(ReportError::format(path, what).into());
        }
    }
    Ok(file.cases)
}

#[cfg(test)]
mod tests {
    //! Guarantee: the file of the program is readable, has every kind, and every reading lies within the actions of its case.
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_cases_are_readable_and_complete() {
        let cases = read_cases().expect("the cases");
        let kinds: BTreeSet<CaseKind> = cases.iter().map(|c| c.kind).collect();
        assert_eq!(kinds.len(), 5, "{kinds:?}");
        for case in &cases {
            let last = 10 + case.actions.list().len();
            assert!(case.steps.iter().all(|s| (1..=last).contains(s)));
        }
    }
}
