//! From s-expressions to a checked [`Problem`].

use super::error::{BddlError, SourceLocation};
use super::predicate::Predicate;
use super::problem::{Goal, ObjectDecl, PredicateInstance, Problem, Region};
use super::reader::SexprReader;
use super::sexpr::{self, Sexpr};

impl Problem {
    /// Parses and checks a text; `file` names it in errors.
    ///
    /// # Errors
    /// Names the line and column of the first mistake.
    pub fn parse(file: &str, text: &str) -> Result<Problem, BddlError> {
        let root = sexpr::parse(file, text)?;
        let parser = ProblemParser {
            reader: SexprReader { file },
        };
        parser.problem(&root)
    }
}

struct ProblemParser<'a> {
    reader: SexprReader<'a>,
}

/// A region before its target is known to exist.
struct LocatedRegion {
    region: Region,
    location: SourceLocation,
}

/// Sections whose names are checked when all objects are known.
#[derive(Default)]
struct Sections<'s> {
    /// Names of the sections so far.
    seen: Vec<String>,
    regions: Vec<LocatedRegion>,
    obj_of_interest: Vec<(String, SourceLocation)>,
    init: &'s [Sexpr],
    goal: Option<&'s Sexpr>,
}

impl ProblemParser<'_> {
    fn problem(&self, root: &Sexpr) -> Result<Problem, BddlError> {
        let (items, location) = self.reader.list(root, "(define ...)")?;
        self.reader.keyword(items, location, "define")?;
        let mut problem = Problem {
            file: self.reader.file.to_owned(),
            name: String::new(),
            language: String::new(),
            objects: Vec::new(),
            fixtures: Vec::new(),
            regions: Vec::new(),
            dangling_regions: Vec::new(),
            obj_of_interest: Vec::new(),
            init: Vec::new(),
            goal: Goal {
                predicates: Vec::new(),
            },
        };
        let mut sections = Sections::default();
        for item in &items[1..] {
            self.section(item, &mut sections, &mut problem)?;
        }
        if problem.name.is_empty() {
            return Err(self.reader.fail(location, "no (problem NAME)"));
        }
        for region in sections.regions {
            self.add_region(region, &mut problem)?;
        }
        for (name, location) in sections.obj_of_interest {
            if !problem.declares(&name) && problem.region(&name).is_none() {
                let message = format!("unknown object `{name}`");
                return Err(self.reader.fail(location, message));
            }
            problem.obj_of_interest.push(name);
        }
        for item in sections.init {
            let instance = self.predicate_instance(item, &problem)?;
            problem.init.push(instance);
        }
        let goal = (sections.goal).ok_or_else(|| self.reader.fail(location, "no (:goal ...)"))?;
        problem.goal = self.goal(goal, &problem)?;
        Ok(problem)
    }

    /// Reads one section into the problem, or into `sections` what needs the others.
    fn section<'s>(
        &self,
        item: &'s Sexpr,
        sections: &mut Sections<'s>,
        problem: &mut Problem,
    ) -> Result<(), BddlError> {
        let reader = &self.reader;
        let (section, location) = reader.list(item, "a section such as (:objects ...)")?;
        let Some(head) = section.first() else {
            return Err(reader.fail(location, "expected a section name, found `()`"));
        };
        let (head, head_location) = reader.atom(head, "a section name")?;
        let head = head.to_ascii_lowercase();
        let rest = &section[1..];
        if sections.seen.contains(&head) {
            return Err(reader.fail(head_location, format!("section `{head}` appears twice")));
        }
        match head.as_str() {
            "problem" => {
                let name = reader.single(rest, location, "the problem name")?;
                problem.name = name.to_ascii_lowercase();
            }
            ":domain" => {
                reader.single(rest, location, "the domain name")?;
            }
            ":language" => {
                let words: Result<Vec<&str>, _> = (rest.iter())
                    .map(|w| reader.atom(w, "a word").map(|(w, _)| w))
                    .collect();
                problem.language = words?.join(" ");
            }
            ":regions" => {
                for item in rest {
                    sections.regions.push(self.region(item)?);
                }
            }
            ":fixtures" => problem.fixtures = self.object_decls(rest, &problem.objects)?,
            ":objects" => problem.objects = self.object_decls(rest, &problem.fixtures)?,
            ":obj_of_interest" => {
                for item in rest {
                    let (name, location) = reader.atom(item, "an object name")?;
                    let name = name.to_ascii_lowercase();
                    sections.obj_of_interest.push((name, location));
                }
            }
            ":init" => sections.init = rest,
            ":goal" => match rest {
                [goal] => sections.goal = Some(goal),
                _ => return Err(reader.fail(location, "expected one condition in (:goal ...)")),
            },
            _ => return Err(reader.fail(head_location, format!("unknown section `{head}`"))),
        }
        sections.seen.push(head);
        Ok(())
    }

    fn add_region(&self, located: LocatedRegion, problem: &mut Problem) -> Result<(), BddlError> {
        let LocatedRegion { region, location } = located;
        if !problem.declares(&region.target) {
            problem.dangling_regions.push(region.name);
            return Ok(());
        }
        if problem.region(&region.name).is_some() {
            let message = format!("region `{}` is defined twice", region.name);
            return Err(self.reader.fail(location, message));
        }
        if region.ranges.is_empty() && problem.is_support(&region.target) {
            let message = format!("region `{}` has no (:ranges ...)", region.name);
            return Err(self.reader.fail(location, message));
        }
        problem.regions.push(region);
        Ok(())
    }

    /// `a b - category  c - category`
    fn object_decls(
        &self,
        items: &[Sexpr],
        others: &[ObjectDecl],
    ) -> Result<Vec<ObjectDecl>, BddlError> {
        let mut out: Vec<ObjectDecl> = Vec::new();
        let mut pending: Vec<(String, SourceLocation)> = Vec::new();
        let mut words = items.iter();
        while let Some(item) = words.next() {
            let (word, location) = self.reader.atom(item, "a name or `-`")?;
            if word != "-" {
                pending.push((word.to_ascii_lowercase(), location));
                continue;
            }
            let category = words
                .next()
                .ok_or_else(|| self.reader.fail(location, "expected a category after `-`"))?;
            let (category, _) = self.reader.atom(category, "a category")?;
            if pending.is_empty() {
                return Err(self.reader.fail(location, "expected a name before `-`"));
            }
            for (name, location) in pending.drain(..) {
                if out.iter().chain(others).any(|t| t.name == name) {
                    return Err(self
                        .reader
                        .fail(location, format!("`{name}` is declared twice")));
                }
                out.push(ObjectDecl {
                    name,
                    category: category.to_ascii_lowercase(),
                });
            }
        }
        match pending.first() {
            Some((name, location)) => Err(self.reader.fail(
                *location,
                format!("`{name}` has no category (`{name} - CATEGORY`)"),
            )),
            None => Ok(out),
        }
    }

    fn region(&self, item: &Sexpr) -> Result<LocatedRegion, BddlError> {
        let (items, location) = self.reader.list(item, "a region")?;
        let Some(head) = items.first() else {
            return Err(self
                .reader
                .fail(location, "expected a region name, found `()`"));
        };
        let local = self
            .reader
            .atom(head, "a region name")?
            .0
            .to_ascii_lowercase();
        let mut target: Option<String> = None;
        let mut ranges = Vec::new();
        let mut yaw = [0.0, 0.0];
        for item in &items[1..] {
            let (field, location) = self.reader.list(item, "a field such as (:target ...)")?;
            let Some(head) = field.first() else {
                return Err(self
                    .reader
                    .fail(location, "expected a field name, found `()`"));
            };
            let (head, head_location) = self.reader.atom(head, "a field name")?;
            let rest = &field[1..];
            match head.to_ascii_lowercase().as_str() {
                ":target" => {
                    let name = self.reader.single(rest, location, "the target")?;
                    target = Some(name.to_ascii_lowercase());
                }
                ":ranges" => {
                    for [x0, y0, x1, y1] in self.reader.tuples::<4>(rest, location)? {
                        if x0 > x1 || y0 > y1 {
                            return Err(self.reader.fail(
                                location,
                                format!("range ({x0} {y0} {x1} {y1}) is not (xmin ymin xmax ymax)"),
                            ));
                        }
                        ranges.push([x0, y0, x1, y1]);
                    }
                }
                ":yaw_rotation" => match self.reader.tuples::<2>(rest, location)?.as_slice() {
                    [one] => yaw = *one,
                    _ => return Err(self.reader.fail(location, "expected one yaw range")),
                },
                _ => {
                    return Err(self
                        .reader
                        .fail(head_location, format!("unknown region field `{head}`")));
                }
            }
        }
        let target = target.ok_or_else(|| {
            self.reader
                .fail(location, format!("region `{local}` has no (:target ...)"))
        })?;
        let region = Region {
            name: format!("{target}_{local}"),
            local,
            target,
            ranges,
            yaw,
        };
        Ok(LocatedRegion { region, location })
    }

    fn predicate_instance(
        &self,
        item: &Sexpr,
        problem: &Problem,
    ) -> Result<PredicateInstance, BddlError> {
        let (items, location) = self.reader.list(item, "a predicate such as (On a b)")?;
        let Some(head) = items.first() else {
            return Err(self
                .reader
                .fail(location, "expected a predicate, found `()`"));
        };
        let (name, name_location) = self.reader.atom(head, "a predicate")?;
        let predicate = Predicate::from_name(name).ok_or_else(|| {
            let known = Predicate::ALL.map(Predicate::name).join(", ");
            self.reader.fail(
                name_location,
                format!("unknown predicate `{name}`; known: {known}"),
            )
        })?;
        let rest = &items[1..];
        if rest.len() != predicate.arity() {
            return Err(self.reader.fail(
                location,
                format!(
                    "`{name}` takes {} argument(s), found {}",
                    predicate.arity(),
                    rest.len()
                ),
            ));
        }
        let mut args = Vec::new();
        for (i, item) in rest.iter().enumerate() {
            let (word, location) = self.reader.atom(item, "an object or region name")?;
            let word = word.to_ascii_lowercase();
            let region = problem.region(&word);
            let region_fits = i == 1 || predicate.arity() == 1;
            let known = problem.declares(&word) || (region.is_some() && region_fits);
            if !known {
                let message = if region.is_some() {
                    format!("expected an object, found the region `{word}`")
                } else if problem.dangling_regions.contains(&word) {
                    format!("region `{word}` targets an unknown object or fixture")
                } else {
                    format!("unknown object or region `{word}`")
                };
                return Err(self.reader.fail(location, message));
            }
            args.push(word);
        }
        Ok(PredicateInstance {
            predicate,
            args,
            location,
        })
    }

    /// `(And PREDICATE ...)` or a single predicate.
    fn goal(&self, item: &Sexpr, problem: &Problem) -> Result<Goal, BddlError> {
        let (items, location) = self.reader.list(item, "(And ...)")?;
        let predicates = match items.first() {
            Some(Sexpr::Atom(w, _)) if w.eq_ignore_ascii_case("and") => items[1..]
                .iter()
                .map(|p| self.predicate_instance(p, problem))
                .collect::<Result<Vec<_>, _>>()?,
            _ => vec![self.predicate_instance(item, problem)?],
        };
        if predicates.is_empty() {
            return Err(self.reader.fail(location, "the goal is empty"));
        }
        Ok(Goal { predicates })
    }
}
