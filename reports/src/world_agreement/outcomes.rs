//! Outcomes of episodes in a world, from tables of other programs.

use super::episode_table::read_episode_table;
use crate::ReportError;
use std::collections::BTreeMap;
use std::path::Path;

/// Outcomes of a world by suite, policy, task and initial state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorldOutcomes {
    /// Name of the world.
    pub world: String,
    /// Success by (suite, policy), then (task, initial state).
    pub outcomes: BTreeMap<(String, String), BTreeMap<(usize, usize), bool>>,
}

impl WorldOutcomes {
    /// Without outcomes.
    pub fn new(world: &str) -> WorldOutcomes {
        WorldOutcomes {
            world: world.to_owned(),
            ..WorldOutcomes::default()
        }
    }

    /// Adds an outcome.
    ///
    /// # Errors
    /// A sentence if there is one of this policy and initial state already.
    pub fn add(
        &mut self,
        (suite, policy): (&str, &str),
        key: (usize, usize),
        success: bool,
    ) -> Result<(), String> {
        let cell = self
            .outcomes
            .entry((suite.to_owned(), policy.to_owned()))
            .or_default();
        match cell.insert(key, success) {
            None => Ok(()),
            Some(_) => Err(format!(
                "found two episodes of `{policy}` in {}, {suite} task {}, state {}",
                self.world, key.0, key.1
            )),
        }
    }
}

/// Reads a table (CSV) with the columns world, policy, suite, task, init and success (0, 1, true or false) into the worlds that it names, in the order in which they are met; `worlds` may hold
/// some already.
///
/// # Errors
/// Names the file and the line: a column is missing, a cell is no number, an episode is there twice; the table is empty.
pub fn read_outcomes(path: &Path, worlds: &mut Vec<WorldOutcomes>) -> Result<(), ReportError> {
    for row in read_episode_table(path)? {
        let at = worlds.iter().position(|world| world.world == row.world);
        let at = at.unwrap_or_else(|| {
            worlds.push(WorldOutcomes::new(&row.world));
            worlds.len() - 1
        });
        let added = worlds[at].add((&row.suite, &row.policy), (row.task, row.init), row.success);
        added.map_err(|what| ReportError::format(path, format!("line {}: {what}", row.line)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Guarantees: tables are read by the names of their columns; what is none is refused with file and line.
    use super::*;

    fn read(text: &str) -> Result<Vec<WorldOutcomes>, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let mut worlds = Vec::new();
        read_outcomes(file.path(), &mut worlds).map_err(|e| e.to_string())?;
        Ok(worlds)
    }

    #[test]
    fn tables_are_read_by_the_names_of_their_columns() {
        let text = "steps,world,policy,suite,task,init,success\n9,m,full,goal,3,4,1\n9,m,full,goal,3,5,0\n9,n,full,goal,3,4,True\n";
        let worlds = read(text).expect("two worlds");
        let found = &worlds[0].outcomes[&("goal".to_owned(), "full".to_owned())];
        assert_eq!(
            found.iter().collect::<Vec<_>>(),
            [(&(3, 4), &true), (&(3, 5), &false)]
        );
        assert_eq!((worlds.len(), worlds[1].world.as_str()), (2, "n"));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let head = "world,policy,suite,task,init,success\n";
        let refused = |text: String, words: &[&str]| {
            let error = read(&text).expect_err("refused");
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        };
        refused(head.to_owned(), &["no episode"]);
        refused(
            format!("{head}m,full,goal,0,0,maybe\n"),
            &["line: 2", "maybe"],
        );
        refused(
            format!("{head}m,full,goal,0,0,1\nm,full,goal,0,0,1\n"),
            &["line 3", "two episodes"],
        );
        refused("world,policy\nm,full\n".to_owned(), &["suite"]);
    }
}
