// A producer and a consumer with Microsoft's SDK for JavaScript, driven by lines on standard input.
//
//   node client.cjs NODE_MODULES EVENTHUBS_CONNECTION STORAGE_CONNECTION CONTAINER
//
// Prints one JSON document a line: {"properties": ...} first, {"seen": [partition, body]} and then
// {"checkpointed": body} for each event, {"owned": partition}, {"error": text}. Each line
// "send WORD" sends WORD in a batch to each partition, by a key, and alone, and prints
// {"sent": [bodies]} once all are acknowledged; "large" sends a message that is too large, and prints
// {"refused": [code, message]}. It is ended by a signal.
"use strict";

const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");

const [modules, connection, storage, container] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const { EventHubProducerClient, EventHubConsumerClient, earliestEventPosition } =
  load("@azure/event-hubs");
const { BlobCheckpointStore } = load("@azure/eventhubs-checkpointstore-blob");
const { ContainerClient } = load("@azure/storage-blob");

const retryOptions = { maxRetries: 20, retryDelayInMs: 100, maxRetryDelayInMs: 500, timeoutInMs: 5000 };
const describe = (error) => [error, ...(error.errors ?? []).slice(-1)].map(String).join(": ");
const print = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);

async function untilAcknowledged(sendBatch) {
  for (;;) {
    try {
      return await sendBatch();
    } catch (error) {
      print({ error: describe(error) });
    }
  }
}

async function send(producer, word, partitions) {
  const sent = [];
  const options = [...partitions.map((partitionId) => ({ partitionId })), { partitionKey: word }];
  for (const [number, option] of options.entries()) {
    const body = `${word}-${number}`;
    await untilAcknowledged(async () => {
      const batch = await producer.createBatch(option);
      batch.tryAdd({ body });
      await producer.sendBatch(batch);
    });
    sent.push(body);
  }
  await untilAcknowledged(() => producer.sendBatch([{ body: `${word}-alone` }]));
  print({ sent: [...sent, `${word}-alone`] });
}

async function sendTooLarge(producer) {
  const body = "x".repeat(1_200_000);
  try {
    await producer.sendBatch([{ body }], { partitionId: "0" });
  } catch (error) {
    print({ refused: [error.code, error.message] });
  }
}

async function main() {
  const producer = new EventHubProducerClient(connection, { retryOptions });
  const { partitionIds } = await producer.getEventHubProperties();
  print({ properties: { partitionIds } });
  const consumer = new EventHubConsumerClient(
    "$Default",
    connection,
    new BlobCheckpointStore(new ContainerClient(storage, container)),
    {
      retryOptions,
      loadBalancingOptions: {
        strategy: "greedy",
        updateIntervalInMs: 500,
        partitionOwnershipExpirationIntervalInMs: 4000,
      },
    },
  );
  consumer.subscribe(
    {
      processInitialize: async (context) => print({ owned: context.partitionId }),
      processEvents: async (events, context) => {
        if (events.length === 0) return;
        for (const event of events) print({ seen: [context.partitionId, event.body] });
        await context.updateCheckpoint(events[events.length - 1]);
        for (const event of events) print({ checkpointed: event.body });
      },
      processError: async (error) => print({ error: describe(error) }),
    },
    { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
  );
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, word] = line.split(" ");
    if (command === "large") await sendTooLarge(producer);
    else await send(producer, word, partitionIds);
  }
}

main().catch((error) => {
  print({ error: describe(error) });
  process.exit(1);
});
