//! `handle-cost`: what an idle TCP handle adds to the daemon's resident memory. What the kernel keeps for the socket is not in it.

use tokio::task::JoinSet;
use tonic::Code;

use farsock_proto::v1::{CloseRequest, SocketType};

use super::{Case, Plan};
use crate::{
    Failure,
    connection::{self, Client},
    daemon_process,
    report::{Row, Target},
    rounds::Rounds,
};

pub(crate) const CASE: Case = Case {
    name: "handle-cost",
    about: "resident memory of the daemon per idle TCP handle, at 1,000 and 8,000 handles",
    run,
};

const TARGET: Target = Target::AtMost(1.0);

/// The limit in KiB per handle.
const LIMIT: f64 = 1.5;

/// At how many handles to look.
const HANDLES: [usize; 2] = [1_000, 8_000];

/// How many calls are under way at once. Few, so that what calls need in passing does not make room for handles.
const IN_FLIGHT: usize = 4;

/// How many sockets are created and closed before the first look: calls alone cost memory too, once.
const WARM_UP: usize = 4_096;

/// Every round costs a daemon of its own; memory varies less than time.
const MOST_ROUNDS: usize = 5;

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut costs: [Vec<f64>; HANDLES.len()] = Default::default();
    let mut refused = None;
    for _ in 0..plan.rounds.min(MOST_ROUNDS) {
        let round = runtime.block_on(round(plan))?;
        for (costs, cost) in costs.iter_mut().zip(round.costs) {
            costs.push(cost);
        }
        refused = refused.or(round.refused);
    }

    let measured: Vec<Rounds> = costs
        .iter()
        .filter(|costs| !costs.is_empty())
        .map(|costs| Rounds::against_limit(costs, LIMIT))
        .collect::<Result<_, _>>()?;
    let mut note = String::from("the worst of");
    for (count, rounds) in HANDLES.iter().zip(&measured) {
        note += &format!(" {:.2} KiB at {count},", rounds.ours());
    }
    note += " a new daemon for each round";
    if let Some(refused) = refused {
        note += &format!("; {refused}");
    }
    let worst = measured
        .into_iter()
        .max_by(|a, b| a.ours().total_cmp(&b.ours()));
    Ok(vec![match worst {
        Some(worst) => Row::compared(CASE.name, "KiB/handle", &worst, "the limit", TARGET, note),
        None => Row::unmeasured(CASE.name, note),
    }])
}

/// What one daemon showed.
#[derive(Default)]
struct Round {
    /// KiB per handle for each of [`HANDLES`], as far as there could be so many.
    costs: Vec<f64>,
    /// Why there could not be more.
    refused: Option<String>,
}

async fn round(plan: &Plan) -> Result<Round, Failure> {
    let daemon = daemon_process::start(&plan.daemon)?;
    let client = connection::connect(daemon.address()).await?;
    in_flight(WARM_UP, &client, |mut client| async move {
        let handle = connection::create_socket(&mut client, SocketType::Stream).await?;
        let abort = false;
        client.close(CloseRequest { handle, abort }).await?;
        Ok(())
    })
    .await?;

    let before = daemon.resident_bytes()?;
    let mut round = Round::default();
    let mut open = 0;
    for count in HANDLES {
        let created = in_flight(count - open, &client, |mut client| async move {
            connection::create_socket(&mut client, SocketType::Stream).await?;
            Ok(())
        })
        .await;
        match created {
            Ok(()) => open = count,
            // The machine's limit of descriptors does not allow so many.
            Err(status) if status.code() == Code::ResourceExhausted => {
                round.refused = Some(format!(
                    "{count} handles were refused: {}",
                    status.message()
                ));
                break;
            }
            Err(status) => return Err(status.into()),
        }
        let grown = daemon.resident_bytes()?.saturating_sub(before);
        round.costs.push(grown as f64 / 1024.0 / count as f64);
    }
    Ok(round)
}

/// Does something `count` times, with as many calls under way as there may be.
async fn in_flight<F>(
    count: usize,
    client: &Client,
    call: impl Fn(Client) -> F,
) -> Result<(), tonic::Status>
where
    F: Future<Output = Result<(), tonic::Status>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for _ in 0..count {
        if calls.len() == IN_FLIGHT
            && let Some(ended) = calls.join_next().await
        {
            ended.map_err(|error| tonic::Status::internal(error.to_string()))??;
        }
        calls.spawn(call(client.clone()));
    }
    while let Some(ended) = calls.join_next().await {
        ended.map_err(|error| tonic::Status::internal(error.to_string()))??;
    }
    Ok(())
}
