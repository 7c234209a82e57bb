//! Days of every time zone there is, around every change of its clocks within a century.

use domain::Zone;
use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, date},
    tz::{TimeZone, TimeZoneDatabase},
};

/// Local days just before, on and after the days on which a zone's clocks change.
fn odd_days(zone: &TimeZone) -> Vec<Date> {
    let from = date(1970, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let changes = zone.following(from).map(|change| change.timestamp());
    let changes = changes.take_while(|at| zone.to_datetime(*at).year() < 2070);
    changes
        .flat_map(|at| (-2..=2).map(move |days: i64| (at, days)))
        .map(|(at, days)| zone.to_datetime(at).date().checked_add(days.days()).unwrap())
        .collect()
}

/// A day begins at the first instant at which the clocks show it, or a later one.
fn assert_begins(zone: &Zone, day: Date) -> Timestamp {
    let begin = zone.start_of_day(day);
    assert!(zone.date_of(begin) >= day, "{zone} {day}: {begin}");
    assert!(zone.date_of(begin - SignedDuration::from_nanos(1)) < day, "{zone} {day}: {begin}");
    begin
}

#[test]
fn the_days_of_every_zone_tile_time() {
    let database = TimeZoneDatabase::bundled();
    let (mut zones, mut days) = (0, 0);
    for name in database.available() {
        let Ok(zone) = name.as_str().parse::<Zone>() else { continue };
        zones += 1;
        let common = date(2024, 2, 28).series(1.day()).take(3);
        for day in odd_days(&database.get(name.as_str()).unwrap()).into_iter().chain(common) {
            let begin = assert_begins(&zone, day);
            let end = assert_begins(&zone, day.tomorrow().unwrap());
            // A day that never was has no time.
            assert!(begin <= end, "{zone} {day}");
            days += 1;
        }
    }
    assert!(zones > 400 && days > 100_000, "{zones} zones, {days} days");
}
