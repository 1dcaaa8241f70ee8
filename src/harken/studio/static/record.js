// The microphone as a 16-bit WAV: what browsers record themselves (webm) harken does not read.

export class Recording {
  // Longest: seconds after which it ends by itself.
  static async start(longest, onEnd) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule("/static/recorder.js");
      return new Recording(stream, context, longest, onEnd);
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      context.close();
      throw error;
    }
  }

  constructor(stream, context, longest, onEnd) {
    this.stream = stream;
    this.context = context;
    this.pieces = [];
    this.node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    this.whole = new Promise((resolve) => {
      this.node.port.onmessage = ({ data }) => (data ? this.pieces.push(data) : resolve());
    });
    context.createMediaStreamSource(stream).connect(this.node);
    this.timer = setTimeout(onEnd, longest * 1000);
  }

  // The WAV's bytes.
  async stop() {
    clearTimeout(this.timer);
    this.node.port.postMessage("end");
    await Promise.race([this.whole, new Promise((resolve) => setTimeout(resolve, 1000))]);
    for (const track of this.stream.getTracks()) track.stop();
    const rate = this.context.sampleRate;
    await this.context.close();
    return wav(this.pieces, rate);
  }
}

export function wav(pieces, rate) {
  const count = pieces.reduce((n, piece) => n + piece.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * count));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * count, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * count, true);
  let at = 44;
  for (const piece of pieces)
    for (const sample of piece) {
      view.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true);
      at += 2;
    }
  return view.buffer;
}
