//! What is known of a session's operations by their request ids.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Hashed, since operations come and go by the hundred thousand a second, and no order of theirs matters. Who chooses ids that collide
/// slows down their own session.
pub(super) type ById<T> = HashMap<u64, T, RandomState>;

/// For how many operations a map keeps room, even if there are few.
const LEAST_ROOM: usize = 256;

/// Gives up the room that a burst has left, once seven eighths of it are free.
pub(super) fn trim<T>(map: &mut ById<T>) {
    if map.len() < map.capacity() / 8 {
        map.shrink_to(LEAST_ROOM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_the_room_goes() {
        let mut map: ById<[u8; 64]> = (0..65_536).map(|id| (id, [0; 64])).collect();
        for id in 0..65_536 {
            map.remove(&id);
            trim(&mut map);
            assert!(map.capacity() <= 16 * map.len().max(LEAST_ROOM));
        }
    }
}
