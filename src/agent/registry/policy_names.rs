//! Several policies in one option.

use super::PolicyName;
use std::fmt;
use std::str::FromStr;

/// Names of policies that are evaluated one after the other and compared with the first: `ternary,full,int8`. A comma belongs to
/// the argument of a policy unless the name of another policy follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyNames {
    first: PolicyName,
    others: Vec<PolicyName>,
}

impl PolicyNames {
    /// The first policy, the only one in most runs.
    pub fn first(&self) -> &PolicyName {
        &self.first
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyName> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Number of policies.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }
}

impl fmt::Display for PolicyNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others.iter().try_for_each(|name| write!(f, ",{name}"))
    }
}

impl FromStr for PolicyNames {
    type Err = String;

    fn from_str(text: &str) -> Result<PolicyNames, String> {
        let mut words: Vec<String> = Vec::new();
        for word in text.split(',') {
            match words.last_mut() {
                Some(last) if last.contains(':') && word.parse::<PolicyName>().is_err() => {
                    last.push(',');
                    last.push_str(word);
                }
                _ => words.push(word.to_owned()),
            }
        }
        let names: Vec<PolicyName> = words
            .iter()
            .map(|word| word.parse())
            .collect::<Result<_, _>>()?;
        for (i, name) in names.iter().enumerate() {
            if names[..i]
                .iter()
                .any(|earlier| earlier.name() == name.name())
            {
                return Err(format!("`{}` is named twice", name.name()));
            }
        }
        let mut names = names.into_iter();
        let first = names.next().unwrap_or_default();
        Ok(PolicyNames {
            first,
            others: names.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a comma separates names of policies, and stays in the argument of one where no name follows.
    use super::*;

    #[test]
    fn a_comma_separates_policies_and_stays_in_arguments() {
        let names = |text: &str| -> Vec<String> {
            let names: PolicyNames = text.parse().unwrap();
            assert_eq!(names.to_string(), text);
            names.iter().map(|name| name.to_string()).collect()
        };
        assert_eq!(names("ternary"), ["ternary"]);
        assert_eq!(names("full,ternary"), ["full", "ternary"]);
        assert_eq!(
            names("replay:runs/a,b,expert"),
            ["replay:runs/a,b", "expert"]
        );
        let refused = |text: &str| text.parse::<PolicyNames>().unwrap_err();
        assert!(refused("ternary,ful").contains("`ful`"));
        assert!(refused("full,ternary,full").contains("`full` is named twice"));
    }
}
