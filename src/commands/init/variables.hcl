# Values come from here, then from LARDER_VAR_name in the environment, larder.vars.hcl, *.auto.vars.hcl, -var and -var-file;
# the last one counts.

variable "root" {
  type        = string
  description = "The directory of the storage on each member."
  default     = "/var/lib/larder/storages/main"
}

variable "guests" {
  type        = map(string)
  description = "Guests by name, with the size of their disk: { web = \"10GiB\" }"
  default     = {}
}
