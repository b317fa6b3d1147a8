/** Small pictures beside words, never instead of them. */

import type { ComponentChildren } from "preact";

function Icon({ children, size = 24 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const CameraIcon = () => (
  <Icon>
    <path d="M4 8h3l2-3h6l2 3h3v11H4z" />
    <circle cx="12" cy="13" r="3.5" />
  </Icon>
);

export const PicturesIcon = () => (
  <Icon>
    <rect x="3" y="5" width="18" height="14" rx="2" />
    <path d="m4 17 5-5 4 4 3-3 4 4" />
    <circle cx="15.5" cy="9.5" r="1" />
  </Icon>
);

/** An octagon, as on a stop sign. */
export const ReferIcon = ({ size = 40 }: { size?: number }) => (
  <Icon size={size}>
    <path d="M8 2.5h8L21.5 8v8L16 21.5H8L2.5 16V8z" />
    <path d="M12 7v6" />
    <path d="M12 16.8v.1" />
  </Icon>
);

/** A circle with a tick. */
export const ClearIcon = ({ size = 40 }: { size?: number }) => (
  <Icon size={size}>
    <circle cx="12" cy="12" r="9.5" />
    <path d="m8 12.5 2.7 2.7L16 9.8" />
  </Icon>
);

/** A crossed-out eye. */
export const RefusedIcon = ({ size = 40 }: { size?: number }) => (
  <Icon size={size}>
    <path d="M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6z" />
    <circle cx="12" cy="12" r="2.5" />
    <path d="M4 4l16 16" />
  </Icon>
);

/** A triangle, for whatever is malignant. */
export const MalignantIcon = ({ size = 18 }: { size?: number }) => (
  <Icon size={size}>
    <path d="M12 3 22 20H2z" />
    <path d="M12 10v4" />
    <path d="M12 17v.1" />
  </Icon>
);

export const SettingsIcon = () => (
  <Icon>
    <path d="M4 7h9M19 7h1M4 17h1M11 17h9" />
    <circle cx="16" cy="7" r="2.5" />
    <circle cx="8" cy="17" r="2.5" />
  </Icon>
);
