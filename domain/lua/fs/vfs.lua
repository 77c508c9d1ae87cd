-- What the commands on nodes share: a new node's way into its directory, and the attributes they answer.
local session = use("base/session")
local inode = use("fs/inode")
local namei = use("fs/namei")

local vfs = {}

function vfs.apply_umask(mode)
  return bit.band(mode, bit.bnot(session.cred().umask))
end

-- kind, mode, uid, gid, nlink, ino, object
function vfs.attributes(node)
  return node.kind, node.mode, node.uid, node.gid, node.nlink, node.ino, node.object or ""
end

-- Makes a node at the place that namei.filename_create() found; answers its attributes.
function vfs.create(at, kind, mode, object)
  namei.may_create(at.dir)
  local node = inode.create(at.dir, kind, mode, object)
  inode.add_name(at.dir, at.name, node)
  return vfs.attributes(node)
end

return vfs
