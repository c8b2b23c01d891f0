//! Convex hull of a few points by incremental insertion, for drawing `ShapeDesc::Hull`.

type Point3 = [f64; 3];

fn sub(a: Point3, b: Point3) -> Point3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn cross(a: Point3, b: Point3) -> Point3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

fn dot(a: Point3, b: Point3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Signed distance of `d` from the plane of triangle `f`, m, positive outside.
fn plane_distance(points: &[Point3], f: [usize; 3], d: Point3) -> f64 {
    let (a, b, c) = (points[f[0]], points[f[1]], points[f[2]]);
    let n = cross(sub(b, a), sub(c, a));
    dot(n, sub(d, a)) / dot(n, n).sqrt().max(1e-300)
}

/// Triangles of the hull, counter-clockwise from outside; `None` for flat or too few points.
pub(crate) fn convex_hull(points: &[Point3]) -> Option<Vec<[usize; 3]>> {
    let size = points
        .iter()
        .flatten()
        .fold(0.0f64, |m, c| m.max(c.abs()))
        .max(1e-12);
    let eps = size * 1e-9;
    let farthest = |score: &dyn Fn(Point3) -> f64| {
        (0..points.len()).fold((0, -1.0), |b, i| {
            let s = score(points[i]);
            if s > b.1 { (i, s) } else { b }
        })
    };
    let a = 0;
    let p0 = *points.first()?;
    let (b, d) = farthest(&|p| dot(sub(p, p0), sub(p, p0)));
    if d <= eps * eps {
        return None;
    }
    let e = sub(points[b], p0);
    let (c, d) = farthest(&|p| {
        let x = cross(e, sub(p, p0));
        dot(x, x)
    });
    if d <= eps * eps * dot(e, e) {
        return None;
    }
    let (d, h) = farthest(&|p| plane_distance(points, [a, b, c], p).abs());
    if h <= eps {
        return None;
    }
    let mut faces = if plane_distance(points, [a, b, c], points[d]) > 0.0 {
        vec![[a, c, b], [a, b, d], [b, c, d], [c, a, d]]
    } else {
        vec![[a, b, c], [b, a, d], [c, b, d], [a, c, d]]
    };
    for (i, p) in points.iter().enumerate() {
        if [a, b, c, d].contains(&i) {
            continue;
        }
        let (visible, kept): (Vec<_>, Vec<_>) = faces
            .iter()
            .copied()
            .partition(|f| plane_distance(points, *f, *p) > eps);
        if visible.is_empty() {
            continue;
        }
        let edges: Vec<(usize, usize)> = visible
            .iter()
            .flat_map(|f| [(f[0], f[1]), (f[1], f[2]), (f[2], f[0])])
            .collect();
        faces = kept;
        for &(u, v) in &edges {
            if !edges.contains(&(v, u)) {
                faces.push([u, v, i]);
            }
        }
    }
    Some(faces)
}
