/** The header in which the edge says where a call comes from. It replaces whatever the client has written there. */
export const clientAddressHeader = "x-sovr-client-address";
