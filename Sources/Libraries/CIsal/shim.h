// ISA-L's deflate, one block at a time. Its stream is a struct with arrays of 70,000 elements, which Swift would import
// as a tuple of that size: it stays on this side.
#include <stdlib.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

struct mcore_isal {
  struct isal_zstream stream;
  int level;
  uint8_t level_buffer[ISAL_DEF_LVL3_DEFAULT];
};

/// Nil without memory. Level 0 to 3.
static inline void *mcore_isal_allocate(int level) {
  // Zeroed: isal_deflate_stateless_init leaves words as they are that count, hist_bits among them.
  struct mcore_isal *state = calloc(1, sizeof(struct mcore_isal));
  if (state) state->level = level;
  return state;
}

static inline void mcore_isal_set_level(void *state, int level) { ((struct mcore_isal *)state)->level = level; }

static inline void mcore_isal_free(void *state) { free(state); }

/// Raw deflate of one whole block. Returns the bytes written, or 0 when they would not fit into `room`.
static inline size_t mcore_isal_deflate(void *opaque, const void *input, size_t count, void *output, size_t room) {
  struct mcore_isal *state = opaque;
  struct isal_zstream *stream = &state->stream;
  // Sets the few words of the state that count; the large buffers in it are left alone.
  isal_deflate_stateless_init(stream);
  stream->hist_bits = 0;
  stream->level = (uint32_t)state->level;
  stream->level_buf = state->level_buffer;
  stream->level_buf_size = sizeof(state->level_buffer);
  stream->end_of_stream = 1;
  stream->flush = NO_FLUSH;
  stream->next_in = (uint8_t *)input;
  stream->avail_in = (uint32_t)count;
  stream->next_out = output;
  stream->avail_out = (uint32_t)room;
  if (isal_deflate_stateless(stream) != COMP_OK || stream->avail_in != 0) return 0;
  return room - stream->avail_out;
}
