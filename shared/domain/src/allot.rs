//! Allotment: whole minor units for shares that are exact, by largest remainder.
//!
//! **Invariant:** what is allotted sums to the rounded sum of the shares, and each share gets the whole number below or above
//! it, itself where it is whole. Nothing else decides than the shares and their order.

use crate::{AmountError, Exact};

/// Rounds the sum of the shares, in minor units, and allots it: each share is rounded down (a negative one away from zero),
/// and what is missing goes to the largest remainders, one each, ties in order.
///
/// # Errors
/// `Overflow` beyond 64 bits.
pub(crate) fn allot(shares: &[Exact]) -> Result<Vec<i64>, AmountError> {
    let mut missing = shares.iter().cloned().sum::<Exact>().round_half_up()?;
    let mut allotted = Vec::with_capacity(shares.len());
    let mut rests = Vec::with_capacity(shares.len());
    for (index, share) in shares.iter().enumerate() {
        let (floor, rest) = share.floor_and_rest()?;
        missing = missing.checked_sub(floor).ok_or(AmountError::Overflow)?;
        allotted.push(floor);
        rests.push((rest, index));
    }
    // A stable sort keeps ties in order.
    rests.sort_by(|(rest, _), (other, _)| other.cmp(rest));
    for (_, (_, index)) in (0..missing).zip(rests) {
        allotted[index] += 1;
    }
    Ok(allotted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allotted(shares: &[&str]) -> Vec<i64> {
        allot(&shares.iter().map(|share| share.parse().unwrap()).collect::<Vec<_>>()).unwrap()
    }

    /// "The lines' discounts and taxes are allotted by largest remainder (ties in line order) so that they sum to the
    /// invoice's."
    #[test]
    fn the_largest_remainders_bear_what_is_missing_ties_in_order() {
        // Eight times 0.4 is 3.2: the first three bear it.
        assert_eq!(allotted(&["0.4"; 8]), [1, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(allotted(&["0.4", "0.9", "0.9"]), [0, 1, 1]);
        assert_eq!(allotted(&["1/3", "1/3", "1/3"]), [1, 0, 0]);
        assert_eq!(allotted(&["2/3", "5", "0"]), [1, 5, 0]);
        assert_eq!(allotted(&[]), [0_i64; 0]);
    }

    #[test]
    fn negative_shares_are_allotted_alike() {
        assert_eq!(allotted(&["-4833.25"]), [-4833]);
        assert_eq!(allotted(&["-0.15", "-0.15", "-0.15"]), [0, 0, 0]);
        assert_eq!(allotted(&["-0.5"]), [-1]);
        assert_eq!(allotted(&["-1.5", "1.5"]), [-1, 1]);
        // -0.75 is -1: what is missing to it from -2 and 0 goes to 0.75, not to 0.5.
        assert_eq!(allotted(&["-1.25", "0.5"]), [-1, 0]);
    }

    #[test]
    fn a_share_that_does_not_fit_is_an_error() {
        let most = || Exact::from(i64::MAX);
        assert_eq!(allot(&[most(), Exact::from(1)]), Err(AmountError::Overflow));
        assert_eq!(allot(&[most()]), Ok(vec![i64::MAX]));
    }
}
