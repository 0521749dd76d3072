/*
 * A rendition by WebGL2: one triangle, one shader, the tables of `tone` as a texture.
 */

// @ts-check

import { placement } from "./recipe.js";
import { STEPS, tone, VIGNETTE } from "./tone.js";

/** @typedef {import("./recipe.js").Recipe} Recipe */

/**
 * @typedef {object} Renderer
 * @property {(recipe: Recipe) => void} render over the whole of the canvas, in the size that it has
 * @property {() => void} dispose
 */

const VERTEX = `#version 300 es
out vec2 at;
void main() {
  at = vec2(gl_VertexID == 1 ? 2.0 : 0.0, gl_VertexID == 2 ? 2.0 : 0.0);
  gl_Position = vec4(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D photo;
uniform sampler2D curves;
uniform mat3x2 place;
uniform mat3 blend;
uniform float vignette;
in vec2 at;
out vec4 colour;

vec3 curved(vec3 value, float row) {
  vec3 x = clamp(value, 0.0, 1.0) * ${(STEPS - 1) / STEPS} + ${0.5 / STEPS};
  return vec3(texture(curves, vec2(x.r, row)).r, texture(curves, vec2(x.g, row)).g, texture(curves, vec2(x.b, row)).b);
}

void main() {
  vec4 found = texture(photo, place * vec3(at, 1.0));
  vec3 value = blend * curved(found.rgb + (1.0 - found.a), 0.25);
  if (vignette > 0.0) {
    float away = length(at * 2.0 - 1.0) * ${Math.SQRT1_2};
    value *= 1.0 - vignette * ${VIGNETTE.depth} * smoothstep(${VIGNETTE.from}, ${VIGNETTE.to}, away);
  }
  colour = vec4(curved(value, 0.75), 1.0);
}`;

/**
 * Everything that a photograph needs to be rendered again and again. Null where this context cannot do it: the photograph is
 * too large for it, or it is lost.
 * @param {WebGL2RenderingContext} gl
 * @param {ImageBitmap} photo
 * @param {PredefinedColorSpace} [colorSpace]
 * @returns {Renderer | null}
 */
export function renderer(gl, photo, colorSpace = "srgb") {
  if (gl.isContextLost()) return null;
  const most = Math.min(gl.getParameter(gl.MAX_TEXTURE_SIZE), ...gl.getParameter(gl.MAX_VIEWPORT_DIMS));
  if (photo.width > most || photo.height > most) return null;
  const program = linked(gl);
  if (!program) return null;
  gl.useProgram(program);
  if ("drawingBufferColorSpace" in gl) gl.drawingBufferColorSpace = colorSpace;
  if ("unpackColorSpace" in gl) gl.unpackColorSpace = colorSpace;
  const photoTexture = texture(gl, 0);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, photo);
  const curves = texture(gl, 1);
  if (gl.getError() !== gl.NO_ERROR) return null;
  const uniform = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
  gl.uniform1i(uniform("photo"), 0);
  gl.uniform1i(uniform("curves"), 1);
  const [place, blend, vignette] = [uniform("place"), uniform("blend"), uniform("vignette")];
  return {
    render(recipe) {
      const made = tone(recipe);
      gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
      gl.activeTexture(gl.TEXTURE1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, STEPS, 2, 0, gl.RGBA, gl.FLOAT, table(made.before, made.after));
      gl.uniformMatrix3x2fv(place, false, placement(photo, recipe));
      gl.uniformMatrix3fv(blend, true, made.mix);
      gl.uniform1f(vignette, made.vignette);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    },
    dispose() {
      gl.deleteTexture(photoTexture);
      gl.deleteTexture(curves);
      gl.deleteProgram(program);
    },
  };
}

/** Two rows of RGBA: before the mix, and after it. @param {Float32Array} before @param {Float32Array} after */
function table(before, after) {
  const rows = new Float32Array(2 * STEPS * 4);
  [before, after].forEach((curves, row) => {
    for (let step = 0; step < STEPS; step++) {
      for (let channel = 0; channel < 3; channel++) {
        rows[(row * STEPS + step) * 4 + channel] = curves[channel * STEPS + step];
      }
    }
  });
  return rows;
}

/** @param {WebGL2RenderingContext} gl @param {number} unit */
function texture(gl, unit) {
  const made = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return made;
}

/** @param {WebGL2RenderingContext} gl @returns {WebGLProgram | null} */
function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of /** @type {const} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}
