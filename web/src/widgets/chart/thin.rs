//! At most two points of a curve for each pixel: the lowest and the highest.

/// The points worth drawing in `columns` columns of the view from `least` to `most`. Gaps (NaN) stay gaps, and one point on
/// each side of the view is kept, so that lines leave it where they should.
pub fn thin(points: &[[f64; 2]], columns: usize, least: f64, most: f64) -> Vec<[f64; 2]> {
    let from = points
        .partition_point(|point| point[0] < least)
        .saturating_sub(1);
    let to = (points.partition_point(|point| point[0] <= most) + 1).min(points.len());
    let visible = points.get(from..to).unwrap_or_default();
    if visible.len() <= 2 * columns || most <= least {
        return visible.to_vec();
    }
    let column = |x: f64| (((x - least) / (most - least)) * columns as f64).floor() as i64;
    let mut kept = Vec::with_capacity(2 * columns + 2);
    let mut rest = visible;
    while let Some(first) = rest.first() {
        let here = column(first[0]);
        let count = rest
            .partition_point(|point| column(point[0]) <= here)
            .max(1);
        let (bucket, after) = rest.split_at(count);
        rest = after;
        if bucket.iter().any(|point| point[1].is_nan()) {
            kept.push([first[0], f64::NAN]);
            continue;
        }
        let by_height = |a: &(usize, &[f64; 2]), b: &(usize, &[f64; 2])| a.1[1].total_cmp(&b.1[1]);
        let lowest = bucket.iter().enumerate().min_by(by_height);
        let highest = bucket.iter().enumerate().max_by(by_height);
        if let (Some((low, a)), Some((high, b))) = (lowest, highest) {
            match low.cmp(&high) {
                std::cmp::Ordering::Less => kept.extend([*a, *b]),
                std::cmp::Ordering::Greater => kept.extend([*b, *a]),
                std::cmp::Ordering::Equal => kept.push(*a),
            }
        }
    }
    kept
}

/// The stretches between gaps.
pub fn stretches(points: &[[f64; 2]]) -> impl Iterator<Item = &[[f64; 2]]> {
    points
        .split(|point| !point[1].is_finite() || !point[0].is_finite())
        .filter(|stretch| !stretch.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_survive_and_two_points_a_pixel_are_enough() {
        let mut points: Vec<[f64; 2]> = (0..100_000)
            .map(|index| [f64::from(index), f64::from(index % 7)])
            .collect();
        points[54_321][1] = 99.0;
        points[54_322][1] = -99.0;
        let thinned = thin(&points, 500, 0.0, 99_999.0);
        assert!(thinned.len() <= 2 * 500 + 2, "{}", thinned.len());
        assert!(thinned.contains(&[54_321.0, 99.0]));
        assert!(thinned.contains(&[54_322.0, -99.0]));
        assert!(thinned.is_sorted_by(|a, b| a[0] < b[0]));
    }

    #[test]
    fn few_points_stay_and_gaps_do_too() {
        let points = [[0.0, 1.0], [1.0, f64::NAN], [2.0, 3.0], [3.0, 4.0]];
        let thinned = thin(&points, 100, 0.0, 3.0);
        assert_eq!(thinned.len(), 4);
        assert_eq!(
            stretches(&thinned).map(<[_]>::len).collect::<Vec<_>>(),
            [1, 2]
        );
        assert!(thin(&[], 10, 0.0, 1.0).is_empty());
    }

    #[test]
    fn lines_leave_the_view_towards_their_next_point() {
        let points: Vec<[f64; 2]> = (0..10).map(|index| [f64::from(index), 0.0]).collect();
        let seen: Vec<f64> = thin(&points, 100, 3.5, 5.5)
            .iter()
            .map(|point| point[0])
            .collect();
        assert_eq!(seen, [3.0, 4.0, 5.0, 6.0]);
    }
}
