/** What browsers with WebTransport throw; the others get a class of the same shape. */
export interface TransportError extends Error {
  readonly source: 'session' | 'stream';
  readonly streamErrorCode: number | null;
}

class FallbackError extends Error implements TransportError {
  override readonly name = 'WebTransportError';
  constructor(
    message: string,
    readonly source: 'session' | 'stream',
    readonly streamErrorCode: number | null,
  ) {
    super(message);
  }
}

type ErrorConstructor = new (
  message: string,
  options: { source: string; streamErrorCode: number | null },
) => TransportError;

export function transportError(
  message: string,
  source: 'session' | 'stream',
  streamErrorCode: number | null = null,
): TransportError {
  const native = (globalThis as { WebTransportError?: ErrorConstructor }).WebTransportError;
  return native
    ? new native(message, { source, streamErrorCode })
    : new FallbackError(message, source, streamErrorCode);
}

/** The code that a reason given to `abort` or `cancel` carries; 0 without one. */
export function codeOf(reason: unknown): number {
  const code = (reason as { streamErrorCode?: unknown } | undefined)?.streamErrorCode;
  return typeof code === 'number' && code >= 0 && code <= 0xffff_ffff ? Math.floor(code) : 0;
}
