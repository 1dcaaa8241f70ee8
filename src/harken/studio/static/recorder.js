// In the sound's own thread: samples as they come, in pieces of a fifth of a second or so.

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(8192);
    this.filled = 0;
    this.ends = false;
    this.port.onmessage = () => (this.ends = true);
  }

  process(inputs) {
    const channels = inputs[0];
    const length = channels.length ? channels[0].length : 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.piece[this.filled++] = sum / channels.length;
      if (this.filled === this.piece.length) this.hand();
    }
    if (this.ends) {
      this.hand();
      this.port.postMessage(null);
    }
    return !this.ends;
  }

  hand() {
    this.port.postMessage(this.piece.slice(0, this.filled));
    this.filled = 0;
  }
}

registerProcessor("recorder", Recorder);
