# An image storage with one volume: an export of an NFS server that every host mounts at the same path.

variable "name" {
  type        = string
  description = "What the pool is called in default paths."
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", var.name))
    error_message = "A name begins with a letter or digit and holds letters, digits, `.`, `_` and `-`."
  }
}

variable "hosts" {
  type        = list(any)
  description = "The hosts that have the pool, as `[host.hv1, host.hv2]`."
  validation {
    condition     = length(var.hosts) > 0
    error_message = "A pool is on one host at least."
  }
}

variable "server" {
  type        = string
  description = "Name or address of the NFS server; an IPv6 address without brackets."
}

variable "export" {
  type        = string
  description = "The directory that the server exports."
}

variable "nfs_version" {
  type        = string
  default     = "4.2"
  nullable    = false
  description = "Version of the protocol: `3`, `4.0`, `4.1` or `4.2`. Only 4.2 can reserve room for images."
}

variable "path" {
  type        = string
  default     = null
  description = "Where it is mounted; default `/var/lib/larder/storages/NAME/images`."
}

variable "options" {
  type        = list(string)
  default     = []
  nullable    = false
  description = "Mount options, added to `hard` and `noatime`: `[\"nconnect=4\"]`."
}

variable "persist" {
  type        = string
  default     = "fstab"
  nullable    = false
  description = "What mounts it at boot: `fstab`, `systemd` or `none`."
}

variable "owner" {
  type        = string
  default     = "libvirt-qemu"
  description = "Owner of the export's root directory, by name or number; default `libvirt-qemu`, as Debian and Ubuntu have it. Null leaves it as it is."
}

variable "group" {
  type        = string
  default     = "kvm"
  description = "Group of it, by name or number; default `kvm`. Null leaves it as it is."
}

variable "mode" {
  type        = string
  default     = "0770"
  description = "Mode of it; default `0770`. Null leaves it as it is."
}

image_storage "pool" {
  hosts = var.hosts
  root  = "/var/lib/larder/storages/${var.name}"
}

external_volume "images" {
  storage     = image_storage.pool
  mount_point = var.path
  nfs {
    server  = var.server
    export  = var.export
    version = var.nfs_version
  }
  options = var.options
  persist = var.persist
  owner   = var.owner
  group   = var.group
  mode    = var.mode
}

output "storage" {
  value       = image_storage.pool
  description = "The image storage."
}

output "volume" {
  value       = external_volume.images
  description = "The volume, for the `volume` of images."
}

output "path" {
  value       = external_volume.images.mount_point
  description = "Where the volume is on each host."
}
