//! From s-expressions to a checked [`Problem`].

use super::sexpr::{self, Place, Sexpr};
use super::{BddlError, Fact, Goal, Predicate, Problem, Region, Thing};

/// Carries the file name into errors.
struct Reader<'a> {
    file: &'a str,
}

/// A region before its target is known to exist.
struct RawRegion {
    region: Region,
    place: Place,
}

pub(super) fn problem(file: &str, text: &str) -> Result<Problem, BddlError> {
    let root = sexpr::parse(file, text)?;
    let r = Reader { file };
    let (items, place) = r.list(&root, "(define ...)")?;
    r.keyword(items, place, "define")?;
    let mut out = Problem {
        file: file.to_owned(),
        name: String::new(),
        language: String::new(),
        objects: Vec::new(),
        fixtures: Vec::new(),
        regions: Vec::new(),
        dangling_regions: Vec::new(),
        obj_of_interest: Vec::new(),
        init: Vec::new(),
        goal: Goal { facts: Vec::new() },
    };
    let mut seen: Vec<String> = Vec::new();
    let mut regions = Vec::new();
    let mut interest = Vec::new();
    let mut init: &[Sexpr] = &[];
    let mut goal: Option<&Sexpr> = None;
    for item in &items[1..] {
        let (section, place) = r.list(item, "a section such as (:objects ...)")?;
        let Some(head) = section.first() else {
            return Err(r.fail(place, "expected a section name, found `()`"));
        };
        let (head, head_place) = r.atom(head, "a section name")?;
        let head = head.to_ascii_lowercase();
        let rest = &section[1..];
        if seen.contains(&head) {
            return Err(r.fail(head_place, format!("section `{head}` appears twice")));
        }
        match head.as_str() {
            "problem" => out.name = r.one(rest, place, "the problem name")?.to_ascii_lowercase(),
            ":domain" => {
                r.one(rest, place, "the domain name")?;
            }
            ":language" => {
                let words: Result<Vec<&str>, _> = rest
                    .iter()
                    .map(|w| r.atom(w, "a word").map(|(w, _)| w))
                    .collect();
                out.language = words?.join(" ");
            }
            ":regions" => {
                for item in rest {
                    regions.push(r.region(item)?);
                }
            }
            ":fixtures" => out.fixtures = r.things(rest, &out.objects)?,
            ":objects" => out.objects = r.things(rest, &out.fixtures)?,
            ":obj_of_interest" => {
                for item in rest {
                    let (name, place) = r.atom(item, "an object name")?;
                    interest.push((name.to_ascii_lowercase(), place));
                }
            }
            ":init" => init = rest,
            ":goal" => match rest {
                [g] => goal = Some(g),
                _ => return Err(r.fail(place, "expected one condition in (:goal ...)")),
            },
            _ => return Err(r.fail(head_place, format!("unknown section `{head}`"))),
        }
        seen.push(head);
    }
    if out.name.is_empty() {
        return Err(r.fail(place, "no (problem NAME)"));
    }
    for raw in regions {
        let region = raw.region;
        if !out.has_thing(&region.target) {
            out.dangling_regions.push(region.name);
            continue;
        }
        if out.region(&region.name).is_some() {
            return Err(r.fail(
                raw.place,
                format!("region `{}` is defined twice", region.name),
            ));
        }
        if region.ranges.is_empty() && out.is_support(&region.target) {
            return Err(r.fail(
                raw.place,
                format!("region `{}` has no (:ranges ...)", region.name),
            ));
        }
        out.regions.push(region);
    }
    for (name, place) in interest {
        if !out.has_thing(&name) && out.region(&name).is_none() {
            return Err(r.fail(place, format!("unknown object `{name}`")));
        }
        out.obj_of_interest.push(name);
    }
    for fact in init {
        let fact = r.fact(fact, &out)?;
        out.init.push(fact);
    }
    let goal = goal.ok_or_else(|| r.fail(place, "no (:goal ...)"))?;
    out.goal = r.goal(goal, &out)?;
    Ok(out)
}

impl Reader<'_> {
    fn fail(&self, place: Place, message: impl Into<String>) -> BddlError {
        BddlError::new(self.file, place, message)
    }

    fn list<'s>(&self, s: &'s Sexpr, expected: &str) -> Result<(&'s [Sexpr], Place), BddlError> {
        match s {
            Sexpr::List(items, place) => Ok((items, *place)),
            Sexpr::Atom(word, place) => {
                Err(self.fail(*place, format!("expected {expected}, found `{word}`")))
            }
        }
    }

    fn atom<'s>(&self, s: &'s Sexpr, expected: &str) -> Result<(&'s str, Place), BddlError> {
        match s {
            Sexpr::Atom(word, place) => Ok((word, *place)),
            Sexpr::List(_, place) => {
                Err(self.fail(*place, format!("expected {expected}, found `(`")))
            }
        }
    }

    fn keyword(&self, items: &[Sexpr], place: Place, word: &str) -> Result<(), BddlError> {
        match items.first() {
            Some(Sexpr::Atom(w, _)) if w.eq_ignore_ascii_case(word) => Ok(()),
            Some(other) => Err(self.fail(other.place(), format!("expected `{word}`"))),
            None => Err(self.fail(place, format!("expected `{word}`, found `()`"))),
        }
    }

    fn one<'s>(&self, s: &'s [Sexpr], at: Place, what: &str) -> Result<&'s str, BddlError> {
        match s {
            [one] => Ok(self.atom(one, what)?.0),
            _ => Err(self.fail(at, format!("expected {what} and nothing else"))),
        }
    }

    /// `a b - category  c - category`
    fn things(&self, items: &[Sexpr], others: &[Thing]) -> Result<Vec<Thing>, BddlError> {
        let mut out: Vec<Thing> = Vec::new();
        let mut waiting: Vec<(String, Place)> = Vec::new();
        let mut words = items.iter();
        while let Some(item) = words.next() {
            let (word, place) = self.atom(item, "a name or `-`")?;
            if word != "-" {
                waiting.push((word.to_ascii_lowercase(), place));
                continue;
            }
            let category = words
                .next()
                .ok_or_else(|| self.fail(place, "expected a category after `-`"))?;
            let (category, _) = self.atom(category, "a category")?;
            if waiting.is_empty() {
                return Err(self.fail(place, "expected a name before `-`"));
            }
            for (name, place) in waiting.drain(..) {
                if out.iter().chain(others).any(|t| t.name == name) {
                    return Err(self.fail(place, format!("`{name}` is declared twice")));
                }
                out.push(Thing {
                    name,
                    category: category.to_ascii_lowercase(),
                });
            }
        }
        match waiting.first() {
            Some((name, place)) => Err(self.fail(
                *place,
                format!("`{name}` has no category (`{name} - CATEGORY`)"),
            )),
            None => Ok(out),
        }
    }

    fn region(&self, item: &Sexpr) -> Result<RawRegion, BddlError> {
        let (items, place) = self.list(item, "a region")?;
        let Some(head) = items.first() else {
            return Err(self.fail(place, "expected a region name, found `()`"));
        };
        let local = self.atom(head, "a region name")?.0.to_ascii_lowercase();
        let mut target: Option<String> = None;
        let mut ranges = Vec::new();
        let mut yaw = [0.0, 0.0];
        for item in &items[1..] {
            let (field, place) = self.list(item, "a field such as (:target ...)")?;
            let Some(head) = field.first() else {
                return Err(self.fail(place, "expected a field name, found `()`"));
            };
            let (head, head_place) = self.atom(head, "a field name")?;
            let rest = &field[1..];
            match head.to_ascii_lowercase().as_str() {
                ":target" => {
                    let name = self.one(rest, place, "the target")?;
                    target = Some(name.to_ascii_lowercase());
                }
                ":ranges" => {
                    for [x0, y0, x1, y1] in self.tuples::<4>(rest, place)? {
                        if x0 > x1 || y0 > y1 {
                            return Err(self.fail(
                                place,
                                format!("range ({x0} {y0} {x1} {y1}) is not (xmin ymin xmax ymax)"),
                            ));
                        }
                        ranges.push([x0, y0, x1, y1]);
                    }
                }
                ":yaw_rotation" => match self.tuples::<2>(rest, place)?.as_slice() {
                    [one] => yaw = *one,
                    _ => return Err(self.fail(place, "expected one yaw range")),
                },
                _ => {
                    return Err(self.fail(head_place, format!("unknown region field `{head}`")));
                }
            }
        }
        let target = target
            .ok_or_else(|| self.fail(place, format!("region `{local}` has no (:target ...)")))?;
        let region = Region {
            name: format!("{target}_{local}"),
            local,
            target,
            ranges,
            yaw,
        };
        Ok(RawRegion { region, place })
    }

    /// `((a b ...) (a b ...) ...)` with `N` finite numbers each.
    fn tuples<const N: usize>(
        &self,
        rest: &[Sexpr],
        at: Place,
    ) -> Result<Vec<[f64; N]>, BddlError> {
        let [outer] = rest else {
            return Err(self.fail(at, "expected one list of ranges"));
        };
        let (rows, _) = self.list(outer, "a list of ranges")?;
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let (cells, place) = self.list(row, "a range")?;
            if cells.len() != N {
                return Err(self.fail(
                    place,
                    format!("expected {N} numbers, found {}", cells.len()),
                ));
            }
            let mut values = [0.0; N];
            for (value, cell) in values.iter_mut().zip(cells) {
                let (word, place) = self.atom(cell, "a number")?;
                *value = word
                    .parse()
                    .ok()
                    .filter(|v: &f64| v.is_finite())
                    .ok_or_else(|| {
                        self.fail(place, format!("expected a number, found `{word}`"))
                    })?;
            }
            out.push(values);
        }
        Ok(out)
    }

    fn fact(&self, item: &Sexpr, problem: &Problem) -> Result<Fact, BddlError> {
        let (items, place) = self.list(item, "a fact such as (On a b)")?;
        let Some(head) = items.first() else {
            return Err(self.fail(place, "expected a predicate, found `()`"));
        };
        let (name, name_place) = self.atom(head, "a predicate")?;
        let predicate = Predicate::from_name(name).ok_or_else(|| {
            let known = "On, In, Open, Close, TurnOn, TurnOff";
            self.fail(
                name_place,
                format!("unknown predicate `{name}`; known: {known}"),
            )
        })?;
        let rest = &items[1..];
        if rest.len() != predicate.arity() {
            return Err(self.fail(
                place,
                format!(
                    "`{name}` takes {} argument(s), found {}",
                    predicate.arity(),
                    rest.len()
                ),
            ));
        }
        let mut args = Vec::new();
        for (i, item) in rest.iter().enumerate() {
            let (word, place) = self.atom(item, "an object or region name")?;
            let word = word.to_ascii_lowercase();
            let region = problem.region(&word);
            let region_fits = i == 1 || predicate.arity() == 1;
            let known = problem.has_thing(&word) || (region.is_some() && region_fits);
            if !known {
                let what = if region.is_some() {
                    format!("expected an object, found the region `{word}`")
                } else if problem.dangling_regions.contains(&word) {
                    format!("region `{word}` targets an unknown object or fixture")
                } else {
                    format!("unknown object or region `{word}`")
                };
                return Err(self.fail(place, what));
            }
            args.push(word);
        }
        Ok(Fact {
            predicate,
            args,
            place,
        })
    }

    /// `(And fact ...)` or a single fact.
    fn goal(&self, item: &Sexpr, problem: &Problem) -> Result<Goal, BddlError> {
        let (items, place) = self.list(item, "(And ...)")?;
        let facts = match items.first() {
            Some(Sexpr::Atom(w, _)) if w.eq_ignore_ascii_case("and") => items[1..]
                .iter()
                .map(|f| self.fact(f, problem))
                .collect::<Result<Vec<_>, _>>()?,
            _ => vec![self.fact(item, problem)?],
        };
        if facts.is_empty() {
            return Err(self.fail(place, "the goal is empty"));
        }
        Ok(Goal { facts })
    }
}
