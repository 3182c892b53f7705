import { AwsError } from "../../agents/aws-error.js";
import type { IotLink } from "../../agents/aws-thing.js";

export interface AwsConnection {
  readonly endpoint: string;
  readonly port: number;
  /** Name MQTT in the TLS handshake, as port 443 needs. */
  readonly alpn: boolean;
  /** Name of the thing; the client id as well. */
  readonly thing: string;
  /** PEM. */
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
  readonly ca: readonly Uint8Array[];
  readonly signal: AbortSignal;
}

/** The name by which AWS tells MQTT from HTTPS on port 443. */
const ALPN = "x-amzn-mqtt-ca";

/**
 * Connects a thing by MQTT over mutual TLS. The package `mqtt` is loaded now.
 *
 * @throws AwsError `mqtt-missing`, `aws-unreachable`
 */
export async function connectThing(
  connection: AwsConnection,
): Promise<{ link: IotLink; close(): Promise<void> }> {
  const { endpoint, port, alpn, thing, certificate, key, ca, signal } = connection;
  const mqtt = await import("mqtt").catch((cause: unknown) => {
    throw new AwsError(
      "mqtt-missing",
      "The agent for AWS IoT needs the package mqtt, which is not installed.",
      {
        cause,
        hint: "Install it beside bootproof: npm install mqtt (with --global where bootproof is).",
      },
    );
  });
  const client = mqtt.connect({
    protocol: "mqtts",
    host: endpoint,
    port,
    clientId: thing,
    // What was lost with a connection is asked for again.
    clean: true,
    protocolVersion: 4,
    cert: Buffer.from(certificate),
    key: Buffer.from(key),
    ...(ca.length > 0 && { ca: ca.map((one) => Buffer.from(one)) }),
    ...(alpn && { ALPNProtocols: [ALPN] }),
    reconnectPeriod: 2000,
    connectTimeout: 15_000,
    resubscribe: true,
  });
  const close = () => client.endAsync(true).catch(() => undefined) as Promise<void>;
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer for 20 seconds")), 20_000);
      const end = (work: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stopped);
        work();
      };
      const stopped = () => end(() => reject(signal.reason));
      signal.addEventListener("abort", stopped, { once: true });
      client.once("connect", () => end(resolve));
      client.once("error", (error) => end(() => reject(error)));
      client.once("close", () => end(() => reject(new Error("the broker closed the connection"))));
    });
  } catch (cause) {
    await close();
    signal.throwIfAborted();
    throw new AwsError(
      "aws-unreachable",
      `${endpoint}:${port} refuses the connection: ${(cause as Error).message}.`,
      {
        cause,
        hint: "Check the endpoint, that the certificate is active, and --ca.",
      },
    );
  }
  // A later fault shows in answers that do not come; the library connects again by itself.
  client.on("error", () => undefined);
  return {
    close,
    link: {
      async subscribe(topics) {
        const granted = await client.subscribeAsync([...topics], { qos: 1 });
        const denied = granted.find(({ qos }) => (qos as number) > 2);
        if (denied)
          throw new AwsError("aws-no-answer", `The broker does not grant ${denied.topic}.`, {
            hint: "Let the certificate's policy allow it.",
          });
      },
      publish: async (topic, payload) => {
        await client.publishAsync(topic, Buffer.from(payload), { qos: 1 });
      },
      onMessage: (handler) =>
        void client.on("message", (topic, payload) => handler(topic, new Uint8Array(payload))),
    },
  };
}
