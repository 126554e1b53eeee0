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

type ErrorInit = { message?: string; source?: string; streamErrorCode: number | null };
type ErrorConstructor = new (first: string | ErrorInit, init?: ErrorInit) => TransportError;

/** As the specification has it, or as Chromium has it: all in one dictionary. */
function nativeError(
  native: ErrorConstructor,
  message: string,
  source: 'session' | 'stream',
  streamErrorCode: number | null,
): TransportError {
  try {
    return new native(message, { source, streamErrorCode });
  } catch {
    return new native({ message, streamErrorCode });
  }
}

export function transportError(
  message: string,
  source: 'session' | 'stream',
  streamErrorCode: number | null = null,
): TransportError {
  const native = (globalThis as { WebTransportError?: ErrorConstructor }).WebTransportError;
  if (native) {
    try {
      return nativeError(native, message, source, streamErrorCode);
    } catch {
      // A third shape, then.
    }
  }
  return new FallbackError(message, source, streamErrorCode);
}

/** The code that a reason given to `abort` or `cancel` carries; 0 without one. */
export function codeOf(reason: unknown): number {
  const code = (reason as { streamErrorCode?: unknown } | undefined)?.streamErrorCode;
  return typeof code === 'number' && code >= 0 && code <= 0xffff_ffff ? Math.floor(code) : 0;
}
