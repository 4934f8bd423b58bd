//! What happened within the timespan before a point, and whether the condition holds for it.

use std::collections::{HashMap, VecDeque};

use rsigma_eval::WindowState;
use rsigma_parser::CorrelationType;

use super::Correlation;
use super::hits::Hit;

/// The hits within the timespan before the last one, which belongs to them. It costs the same whatever it holds, where
/// the library's own state is counted anew for each hit.
pub struct Window<'h, 'p> {
    correlation: &'h Correlation,
    capacity: usize,
    hits: VecDeque<&'h Hit<'p>>,
    /// How many of the hits have a value.
    values: HashMap<&'h str, usize>,
    /// What the hits add up to.
    sum: i128,
    /// The seconds at which each base rule matched.
    matched: Vec<VecDeque<i64>>,
    /// The second of the latest hit that was dropped for want of room.
    dropped: Option<i64>,
}

impl<'h, 'p> Window<'h, 'p> {
    /// An empty window; of more hits than the capacity the oldest are left out.
    pub fn new(correlation: &'h Correlation, capacity: usize) -> Self {
        Self {
            correlation,
            capacity,
            hits: VecDeque::new(),
            values: HashMap::new(),
            sum: 0,
            matched: vec![VecDeque::new(); correlation.base().len()],
            dropped: None,
        }
    }

    /// Goes on to a hit that is no earlier than those before.
    pub fn slide_to(&mut self, hit: &'h Hit<'p>) {
        let from = hit.second - self.correlation.timespan_seconds();
        while self.hits.front().is_some_and(|oldest| oldest.second < from) {
            self.drop_oldest();
        }
        self.dropped = self.dropped.filter(|second| *second >= from);
        self.hits.push_back(hit);
        self.sum += i128::from(hit.number);
        for value in &hit.values {
            *self.values.entry(value).or_default() += 1;
        }
        for position in &hit.base {
            self.matched[*position].push_back(hit.second);
        }
        if self.hits.len() > self.capacity {
            self.dropped = self.hits.front().map(|oldest| oldest.second);
            self.drop_oldest();
        }
    }

    /// What the correlation counts, where its condition holds for it.
    pub fn value(&self) -> Option<f64> {
        let Correlation { compiled, .. } = self.correlation;
        let count = match compiled.correlation_type {
            CorrelationType::ValueSum => None,
            CorrelationType::ValueCount => Some(self.values.len()),
            CorrelationType::TemporalOrdered => Some(self.in_order()),
            CorrelationType::Temporal if compiled.extended_expr.is_some() => return self.expression(),
            CorrelationType::Temporal => {
                Some(self.matched.iter().filter(|seconds| !seconds.is_empty()).count())
            }
            _ => Some(self.hits.len()),
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "a window holds ten thousand hits at most, and a sum beyond 2^53 is large either way"
        )]
        let value = count.map_or(self.sum as f64, |count| count as f64);
        compiled.condition.check(value).then_some(value)
    }

    /// The hits in the window, the oldest first.
    pub fn hits(&self) -> impl Iterator<Item = &'h Hit<'p>> {
        self.hits.iter().copied()
    }

    /// Whether there is no other hit beside the last.
    pub fn begins(&self) -> bool {
        self.hits.len() == 1
    }

    /// Whether hits of the timespan were left out.
    pub fn is_cut(&self) -> bool {
        self.dropped.is_some()
    }

    fn drop_oldest(&mut self) {
        let Some(hit) = self.hits.pop_front() else { return };
        self.sum -= i128::from(hit.number);
        for value in &hit.values {
            if let Some(count) = self.values.get_mut(value.as_str()) {
                *count -= 1;
                if *count == 0 {
                    self.values.remove(value.as_str());
                }
            }
        }
        for position in &hit.base {
            self.matched[*position].pop_front();
        }
    }

    /// The number of base rules where they matched in their order, the same second counting as in order; else none of
    /// them.
    fn in_order(&self) -> usize {
        let mut after = i64::MIN;
        for seconds in &self.matched {
            let next = seconds.partition_point(|second| *second < after);
            match seconds.get(next) {
                Some(second) => after = *second,
                None => return 0,
            }
        }
        self.matched.len()
    }

    /// Whether the expression over base rules holds, which the library knows by one hit of each.
    fn expression(&self) -> Option<f64> {
        let compiled = &self.correlation.compiled;
        let mut state = WindowState::new_for(compiled.correlation_type);
        for (name, seconds) in compiled.rule_refs.iter().zip(&self.matched) {
            if let Some(second) = seconds.back() {
                state.push_temporal(*second, name);
            }
        }
        let expression = compiled.extended_expr.as_ref();
        state.check_condition(&compiled.condition, compiled.correlation_type, &compiled.rule_refs, expression)
    }
}
