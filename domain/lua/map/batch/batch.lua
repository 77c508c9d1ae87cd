-- Batches: a step of one at a time, so that no script is long; domain/commands/batch.ts goes on from step to
-- step. As in the kernel a batch stops at its first failure, and what it did before stays done.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local generic_batch = use("map/batch/generic_batch")

local batch = {}

function batch.of(m)
  return generic_batch[m.ops.batch_kind] or {}
end

-- bpf_map_do_batch(): checks fd, access, support by the type, elem_flags, in this order.
function batch.open(fd, reads, writes, name, elem_flags)
  local m = map_fd.get(fd, reads, writes)
  local run = batch.of(m)[name]
  if not run then kernel.fail("ENOTSUPP", "a " .. m.type .. " does not support batch " .. name) end
  if map.check_op_flags(m, tonumber(elem_flags)) ~= 0 then
    map.einval("elem_flags must be 0, or BPF_F_LOCK (4) where values have locks, got " .. elem_flags)
  end
  return m, run
end

return batch
