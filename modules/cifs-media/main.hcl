# A directory with installation media that one host serves by Samba, mounted on others.

variable "name" {
  type        = string
  description = "What the share and the default paths are called."
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", var.name))
    error_message = "A name begins with a letter or digit and holds letters, digits, `.`, `_` and `-`."
  }
}

variable "server" {
  type        = any
  description = "The host that serves the media: `host.nas`."
}

variable "hosts" {
  type        = list(any)
  description = "The hosts that mount them, as `[host.hv1, host.hv2]`."
  validation {
    condition     = length(var.hosts) > 0
    error_message = "Media are mounted on one host at least."
  }
}

variable "password" {
  type        = string
  sensitive   = true
  description = "The password of the user."
  validation {
    condition     = length(var.password) >= 8
    error_message = "A password has at least 8 characters."
  }
}

variable "user" {
  type        = string
  default     = "larder"
  nullable    = false
  description = "The user who logs in; made on the server if it is missing there."
}

variable "directory" {
  type        = string
  default     = null
  description = "Where the media lie on the server; default `/srv/NAME`."
}

variable "address" {
  type        = string
  default     = null
  description = "The address at which the hosts reach the server; default: the one that Larder reaches it at."
}

variable "mount_point" {
  type        = string
  default     = null
  description = "Where the media are mounted on each host; default `/var/lib/larder/media/NAME`."
}

variable "writable" {
  type        = bool
  default     = false
  nullable    = false
  description = "Whether the hosts may write."
}

media_share "media" {
  host     = var.server
  path     = var.directory == null ? "/srv/${var.name}" : var.directory
  share    = var.name
  writable = var.writable
  user {
    name     = var.user
    password = var.password
  }
}

media_storage "media" {
  hosts       = var.hosts
  server      = var.address == null ? var.server.address : var.address
  share       = media_share.media.share
  username    = var.user
  password    = var.password
  mount_point = var.mount_point == null ? "/var/lib/larder/media/${var.name}" : var.mount_point
  writable    = var.writable
}

output "share" {
  value       = media_share.media.share
  description = "What the share is called."
}

output "directory" {
  value       = media_share.media.path
  description = "Where the media lie on the server."
}

output "path" {
  value       = media_storage.media.mount_point
  description = "Where the media are on each host."
}
