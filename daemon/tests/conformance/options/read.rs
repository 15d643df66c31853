//! What a fresh socket's options read.

use std::collections::HashSet;

use farsock_client::SocketOption;

use super::{
    FILTERS, TIMES, Twins, VOLATILE, kinds,
    list::{NAMED, Named},
    option,
    value::agrees,
    with_client,
};
use crate::{outcome::Failure, remote};

/// Room for an int, for a 64-bit integer, and for more than anything has. Some options take one of these alone.
const ROOMS: [usize; 3] = [4, 8, 256];

#[test]
fn every_option_of_the_api_is_in_the_list_and_only_those() {
    let listed: HashSet<SocketOption> = NAMED.iter().map(|named| option(named.name)).collect();
    assert_eq!(listed.len(), NAMED.len());
    for number in 1..2_000 {
        if let Ok(named) = SocketOption::try_from(number)
            && named != SocketOption::ONonblock
        {
            assert!(listed.contains(&named), "{named:?} is not in the list");
        }
    }
    assert!(listed.len() >= 100);
}

#[test]
fn every_option_of_every_kind_of_socket_reads_as_the_kernel_says() {
    with_client(async |client| {
        let mut wrong = Vec::new();
        for (kind_name, kind) in kinds() {
            let twins = Twins::new(client, kind).await;
            for named in NAMED {
                if let Err(difference) = check(&twins, named).await {
                    wrong.push(format!("{kind_name} {}: {difference}", named.name));
                }
            }
            twins.close().await;
        }
        assert!(
            wrong.is_empty(),
            "{} differ\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

async fn check(twins: &Twins, named: &Named) -> Result<(), String> {
    let Named {
        name,
        level,
        number,
    } = *named;
    let mut answers = Vec::new();
    for room in ROOMS {
        let (direct, remote) = twins.get(level, number, room).await;
        let same = if VOLATILE.contains(&name) {
            direct.as_ref().map(Vec::len) == remote.as_ref().map(Vec::len)
        } else {
            direct == remote
        };
        if !same {
            return Err(format!(
                "{direct:?}, but the daemon {remote:?} with room for {room}"
            ));
        }
        answers.push(remote);
    }

    let by_name = twins.remote.option(option(name)).await;
    let by_name = by_name.map_err(|error| remote::failure(&error));
    let agreed = match &by_name {
        // A filter's length is counted in instructions.
        Ok(_) if FILTERS.contains(&name) || TIMES.contains(&name) => true,
        Ok(value) => answers.iter().any(|answer| {
            answer
                .as_ref()
                .is_ok_and(|bytes| agrees(name, value, bytes))
        }),
        Err(error @ Failure::Errno(_)) => {
            answers.iter().any(|answer| answer.as_ref() == Err(error))
        }
        Err(Failure::Other(_)) => false,
    };
    if agreed {
        Ok(())
    } else {
        Err(format!("{by_name:?} by name, {answers:?} by number"))
    }
}
